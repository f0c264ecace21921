/* explorer.js - what makes the viewer (Swagger UI) this platform's page: requests go to where the page came from, the
 * operations stand in the document's sections (x-tagGroups), the rate limit is seen, and under SX_DEV=1 the demo's
 * credentials are one button away. Everything is kept in memory and gone with the page, but for the choice of light or dark.
 */
'use strict';

(() => {
    const root = document.documentElement;
    const byId = (id) => document.getElementById(id);

    /* ---- light or dark: as the system has it, until somebody says otherwise ---- */

    const system = matchMedia('(prefers-color-scheme: dark)');
    const isDark = () => (localStorage.getItem('scheme') ?? (system.matches ? 'dark' : 'light')) === 'dark';

    function showScheme() {
        root.classList.toggle('dark-mode', isDark());
        if (byId('scheme'))
            byId('scheme').textContent = isDark() ? 'Light' : 'Dark';
    }

    showScheme();
    system.addEventListener('change', showScheme);

    /* ---- sections: the viewer reads the whole document anew for each operation that is opened, so it gets one at a time ---- */

    /* The operations of a group with all that they refer to. */
    function part(spec, group) {
        const paths = {}, components = { securitySchemes: spec.components.securitySchemes }, webhooks = {};

        function take(node) {
            if (node === null || typeof node !== 'object')
                return;
            if (typeof node.$ref === 'string') {
                const [, , kind, name] = node.$ref.split('/');

                components[kind] ??= {};
                if (!(name in components[kind])) {
                    components[kind][name] = spec.components[kind][name];
                    take(components[kind][name]);
                }
            }
            Object.values(node).forEach(take);
        }

        function keep(from, into) {
            for (const [path, item] of Object.entries(from))
                for (const [method, operation] of Object.entries(item))
                    if (group.tags.includes(operation.tags[0]))
                        (into[path] ??= {})[method] = operation;
            take(into);
        }

        keep(spec.paths, paths);
        keep(spec.webhooks, webhooks);
        return { ...spec, tags: spec.tags.filter((tag) => group.tags.includes(tag.name)), paths, webhooks, components };
    }

    const tagOf = (hash) => decodeURIComponent(hash.split('/')[1] ?? '');
    const groupOf = (spec) => spec['x-tagGroups'].find((group) => group.tags.includes(tagOf(location.hash))) ?? spec['x-tagGroups'][0];

    function mark(group) {
        for (const link of byId('sections').children)
            link.ariaCurrent = link.textContent === group.name ? 'page' : null;
    }

    function addLinks(spec, ui) {
        for (const group of spec['x-tagGroups']) {
            const link = document.createElement('a');

            link.href = '#/' + encodeURIComponent(group.tags[0]);
            link.textContent = group.name;
            link.addEventListener('click', () => {
                mark(group);
                ui.specActions.updateSpec(JSON.stringify(part(spec, group)));
                scrollTo(0, 0);
            });
            byId('sections').append(link);
        }
    }

    /* The viewer would send the examples of all filters with the first try, and nothing is so filtered: they are told instead. */
    function tellExamples(spec) {
        const told = (given) => {
            const node = given.$ref ? given.$ref.slice(2).split('/').reduce((at, step) => at[step], spec) : given;
            const { example, schema, ...rest } = node, [shown] = [example, ...schema?.examples ?? []].filter((one) => one !== undefined);

            if (node.required || shown === undefined)
                return given;
            return { ...rest, schema: { ...schema, examples: undefined }, description: `${node.description ?? ''} As \`${shown}\`.` };
        };

        for (const item of Object.values(spec.paths))
            for (const operation of Object.values(item))
                operation.parameters = operation.parameters?.map(told);
    }

    /* ---- the demo ---- */

    function credentials(demo) {
        const app = demo.app;

        return [
            ['App, Bearer', { appToken: app.access_token }, ['appClientId', 'appClientSecret', 'appStoreId']],
            ['App, client credentials',
                { appClientId: app.client_id, appClientSecret: app.client_secret, appStoreId: String(app.store_id) }, ['appToken']],
            ['Merchant', { merchantBearer: demo.merchant.token }, ['merchantToken']],
            ['Developer', { developerToken: demo.developer.access_token }, []],
        ];
    }

    async function offerDemo(ui) {
        const { data } = await (await fetch('/api/docs/demo.json')).json();

        if (!data)
            return;
        for (const [name, values, others] of credentials(data)) {
            const button = document.createElement('button');

            button.type = 'button';
            button.textContent = name;
            button.addEventListener('click', () => {
                const held = ui.authSelectors.authorized(), replaced = others.filter((scheme) => held?.has(scheme));

                if (replaced.length > 0)
                    ui.authActions.logout(replaced);    /* one credential of a kind at a time */
                for (const [scheme, value] of Object.entries(values))
                    ui.preauthorizeApiKey(scheme, value);
                byId('authorised').textContent = name + ': authorised for store ' + data.app.store_id;
            });
            byId('credentials').append(button);
        }
        byId('demo').hidden = false;
    }

    /* ---- the rate limit of the last answer ---- */

    function showRate(answer) {
        const of = (name) => answer.headers?.[name];

        if (of('ratelimit-limit'))
            byId('rate').textContent = `Status ${answer.status} · rate limit: ${of('ratelimit-remaining')} of ` +
                `${of('ratelimit-limit')} requests left, for ${of('ratelimit-reset')} s · request ${of('x-request-id')}`;
        return answer;
    }

    async function start() {
        showScheme();
        byId('scheme').addEventListener('click', () => {
            localStorage.setItem('scheme', isDark() ? 'light' : 'dark');
            showScheme();
        });
        const answer = await fetch('/api/docs/openapi.json'), spec = await answer.json();

        if (!answer.ok)
            throw new Error(spec.message);
        spec.servers = [{ url: location.origin, description: 'Where this page came from' }];
        tellExamples(spec);

        const ui = SwaggerUIBundle({
            spec: part(spec, groupOf(spec)), dom_id: '#explorer', deepLinking: true, docExpansion: 'none', filter: true,
            tryItOutEnabled: true, displayRequestDuration: true, showCommonExtensions: true, validatorUrl: null,
            defaultModelsExpandDepth: -1, syntaxHighlight: { activated: false }, responseInterceptor: showRate,
        });

        addLinks(spec, ui);
        mark(groupOf(spec));
        await offerDemo(ui);
    }

    document.addEventListener('DOMContentLoaded', () => start().catch((problem) => {
        (document.querySelector('.wait') ?? byId('rate')).textContent = `Something did not come: ${problem.message}. Load the page again.`;
    }));
})();
