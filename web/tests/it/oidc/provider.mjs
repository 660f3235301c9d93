// A real OpenID provider for the tests of single sign-on. Whoever asks says in the header x-sign-in-as (JSON claims with sub) who they are
// there, or types it into a form; everything else is the provider's own. Arguments: our redirect URI, client id, client secret. Prints its address when it serves.
import http from 'node:http';
import { pathToFileURL } from 'node:url';

const { Provider } = await import(pathToFileURL(`${process.env.TRUNKLINE_TEST_OIDC}/node_modules/oidc-provider/lib/index.js`));
const [redirectUri, clientId, clientSecret] = process.argv.slice(2);
const people = new Map();
const server = http.createServer();

server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: clientId,
      client_secret: clientSecret,
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code'],
      response_types: ['code'],
    }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_, id) => ({ accountId: id, claims: async () => ({ ...people.get(id), sub: id }) }),
    interactions: { url: (_, interaction) => `/sign-in/${interaction.uid}` },
    loadExistingGrant: async (ctx) => {
      const grant = new provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope('openid email profile');
      await grant.save();
      return grant;
    },
  });
  const answer = provider.callback();
  server.on('request', async (request, response) => {
    if (!request.url.startsWith('/sign-in/')) {
      answer(request, response);
      return;
    }
    const said = request.headers['x-sign-in-as'];
    if (!said && request.method === 'GET') {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end('<!doctype html><title>The company</title><h1>The company</h1><form method="post"><label>E-mail <input name="email"></label><label>Name <input name="name"></label><button>Go on</button></form>');
      return;
    }
    const person = said ? JSON.parse(said) : await typed(request);
    people.set(person.sub, person);
    await provider.interactionFinished(request, response, { login: { accountId: person.sub } });
  });
  console.log(issuer);
  // Nobody reads on, and what is written to a closed pipe would end us.
  for (const word of ['log', 'info', 'warn', 'error']) console[word] = () => {};
});

async function typed(request) {
  let body = '';
  for await (const part of request) body += part;
  const form = Object.fromEntries(new URLSearchParams(body));
  return { ...form, sub: form.email, email_verified: true };
}

// Ends with whoever started it, however that ends.
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(0), 1_000);
