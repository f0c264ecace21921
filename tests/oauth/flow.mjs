// An app's backend written with oauth4webapi alone: discovery, PKCE code flow, refresh, introspection, revocation.
// Speaks with its test over lines of JSON: told the app, it says where the merchant must go; told where the merchant
// came back to, it does the rest and says what it saw.
import { webcrypto } from 'node:crypto';
import { createInterface } from 'node:readline';

globalThis.crypto ??= webcrypto;
const oauth = await import('oauth4webapi');

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const read = async () => JSON.parse((await lines.next()).value);
const say = (value) => process.stdout.write(JSON.stringify(value) + '\n');

const app = await read();
const insecure = { [oauth.allowInsecureRequests]: true };
const issuer = new URL(app.issuer);
const client = { client_id: app.client_id };
const secret = app.method === 'basic' ? oauth.ClientSecretBasic(app.client_secret) : oauth.ClientSecretPost(app.client_secret);

const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
const server = await oauth.processDiscoveryResponse(issuer, found);

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const authorize = new URL(server.authorization_endpoint);
const query = {
    client_id: app.client_id, redirect_uri: app.redirect_uri, response_type: 'code', scope: app.scope, state,
    store_id: app.store_id, code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
};
for (const [name, value] of Object.entries(query)) authorize.searchParams.set(name, value);
say({ authorize: authorize.href });

const callback = new URL((await read()).callback);
const parameters = oauth.validateAuthResponse(server, client, callback, state);
const exchanged = await oauth.authorizationCodeGrantRequest(
    server, client, secret, parameters, app.redirect_uri, verifier, insecure);
const first = await oauth.processAuthorizationCodeResponse(server, client, exchanged);

const refreshed = await oauth.refreshTokenGrantRequest(server, client, secret, first.refresh_token, insecure);
const second = await oauth.processRefreshTokenResponse(server, client, refreshed);

async function introspect(token) {
    const asked = await oauth.introspectionRequest(server, client, secret, token, insecure);
    return oauth.processIntrospectionResponse(server, client, asked);
}

const orders = await oauth.protectedResourceRequest(
    second.access_token, 'GET', new URL('/api/apps/v1/store', issuer), undefined, undefined, insecure);
const before = await introspect(second.access_token);
const revoked = await oauth.revocationRequest(server, client, secret, second.refresh_token, insecure);
await oauth.processRevocationResponse(revoked);
const after = await introspect(second.access_token);

let refusal;
try {
    const again = await oauth.refreshTokenGrantRequest(server, client, secret, second.refresh_token, insecure);
    await oauth.processRefreshTokenResponse(server, client, again);
} catch (error) {
    refusal = { error: error.error, description: error.error_description, status: error.status };
}
say({ first, second, before, after, refusal, used: orders.status });
