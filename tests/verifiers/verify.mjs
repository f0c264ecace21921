// An app's receiver as its developer would write it: each profile's verifier is a library from npm, used as its manual
// says, and readme.mjs is what README.md shows for a profile of our own. Speaks with its test over lines of JSON: told a delivery, the secret it keeps and by how much its clock is ahead,
// it says whether the library took it.
import { createInterface } from 'node:readline';
import { webcrypto } from 'node:crypto';

globalThis.crypto ??= webcrypto;
const { Webhook } = await import('standardwebhooks');
const { default: Stripe } = await import('stripe');
const github = await import('@octokit/webhooks-methods');
await import('@shopify/shopify-api/adapters/node');
const { shopifyApi, ApiVersion } = await import('@shopify/shopify-api');
const readme = await import('./readme.mjs');

function shop(apiSecretKey) {
    return shopifyApi({ apiKey: 'key', apiSecretKey, apiVersion: ApiVersion.April25, hostName: 'app.example', isEmbeddedApp: false,
                        logger: { log: () => {} } });
}

// Each answers the event as the library gives it out, throws, or answers nothing.
const verifiers = {
    selorax: (secret, headers, body) => readme.verify(secret, headers, body) ? JSON.parse(body) : undefined,
    'standard-webhooks': (secret, headers, body) => new Webhook(secret).verify(body, headers),
    stripe: (secret, headers, body) => Stripe.webhooks.constructEvent(body, headers['stripe-signature'], secret),
    github: async (secret, headers, body) =>
        await github.verify(secret, body, headers['x-hub-signature-256']) ? JSON.parse(body) : undefined,
    shopify: async (secret, headers, body) => {
        const found = await shop(secret).webhooks.validate({ rawBody: body, rawRequest: { method: 'POST', url: '/', headers }, rawResponse: {} });
        return found.valid ? { ...JSON.parse(body), shop: found.domain, library_topic: found.topic } : undefined;
    },
};

const clock = Date.now;
for await (const line of createInterface({ input: process.stdin })) {
    const { profile, secret, headers, body, ahead_s } = JSON.parse(line);
    let answer;

    Date.now = () => clock() + 1000 * ahead_s;
    try {
        const event = await verifiers[profile](secret, headers, Buffer.from(body, 'base64').toString());
        answer = event === undefined ? { refused: 'no' } : { event };
    } catch (error) {
        answer = { refused: `${error.name}: ${error.message}` };
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
}
