import type { User } from './provider.ts'
import type { Outcome } from './sessions.ts'

type Html = { html: string }

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Creates markup. Every value in it is escaped, unless it is markup created here too. */
function html(markup: TemplateStringsArray, ...values: (string | Html | Html[])[]): Html {
  const safe = values.map((value) =>
    typeof value === 'string'
      ? value.replace(/[&<>"']/g, (character) => entities[character] ?? '')
      : [value]
          .flat()
          .map((part) => part.html)
          .join(''),
  )
  return { html: String.raw({ raw: markup }, ...safe) }
}

const layout = (title: string, main: Html): string =>
  html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>${title} · Field Notes</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/style.css">
</head>
<body>
  <header><a href="/">Field Notes</a> <span>a relying party</span></header>
  <main>${main}</main>
</body>
</html>`.html

/** Returns the page for a person who is not signed in. */
export const startPage = (): string =>
  layout(
    'Sign in',
    html`<h1>This app does not know you yet.</h1>
<p>It keeps no passwords. You sign in at your provider, and choose what it shares.</p>
<p class="buttons"><a class="button primary" href="/login">Sign in</a></p>`,
  )

/** Returns the page for a signed-in person: who they are, what the provider shared, and what they can do with it. */
export const signedInPage = ({ claims, refreshToken }: User, outcome?: Outcome, apiUrl?: string): string => {
  const name = String(claims['name'] ?? claims['email'] ?? 'stranger')
  return layout(
    'Signed in',
    html`<h1>Hello, ${name}.</h1>
${outcome ? [outcomeOf(outcome)] : []}
<h2>What the provider shared with this app</h2>
<dl>${Object.entries(claims).map(
      ([claim, value]) =>
        html`<div><dt>${claim}</dt><dd>${typeof value === 'string' ? value : JSON.stringify(value)}</dd></div>`,
    )}</dl>
${refreshToken ? [] : [html`<p>You did not allow access while you are away, so this app can neither refresh nor call the API.</p>`]}
<div class="buttons">
  ${refreshToken && apiUrl ? [button('/call-api', 'Call the API', 'primary')] : []}
  ${refreshToken ? [button('/refresh', 'Refresh')] : []}
  ${button('/logout', 'Sign out', 'quiet')}
</div>`,
  )
}

/** Returns a page with any other message. */
export const messagePage = ({ title, text }: { title: string; text: string }): string =>
  layout(title, html`<h1>${title}</h1><p>${text}</p><p class="buttons"><a class="button" href="/">Continue</a></p>`)

const outcomeOf = ({ title, isGood, details }: Outcome): Html =>
  html`<section class="${isGood ? 'good' : 'bad'}" role="status">
<h2>${title}</h2>
<pre tabindex="0" aria-label="Details">${JSON.stringify(details, null, 2)}</pre>
</section>`

const button = (action: string, label: string, kind = ''): Html =>
  html`<form method="post" action="${action}"><button class="button ${kind}">${label}</button></form>`

export const stylesheet = `
:root {
  color-scheme: light dark;
  --page: light-dark(#f6f3ee, #16140f);
  --ink: light-dark(#221d14, #eee8dc);
  --muted: light-dark(#665d4d, #b3a894);
  --line: light-dark(#ddd5c6, #3a3428);
  --accent: light-dark(#8a3b12, #f0a777);
  --on-accent: light-dark(#ffffff, #2c1202);
  --good: light-dark(#2f6b3a, #8fd09b);
  --bad: light-dark(#9b2226, #ff9f98);
}
* { box-sizing: border-box; }
body {
  max-width: 42rem; min-height: 100vh; margin: 0 auto; padding: 1.5rem clamp(1.25rem, 5vw, 2rem) 4rem;
  font: 1.0625rem/1.55 ui-serif, "Iowan Old Style", Georgia, "Liberation Serif", serif;
  color: var(--ink); background: var(--page); overflow-wrap: anywhere;
}
header { padding-bottom: 1rem; border-bottom: 1px solid var(--line); }
header a { font-weight: 700; color: inherit; text-decoration: none; }
header span { margin-left: .5rem; color: var(--muted); }
main { padding-top: clamp(1.5rem, 8vh, 4rem); }
h1 { margin: 0 0 1rem; font-size: clamp(1.75rem, 1.4rem + 2vw, 2.5rem); line-height: 1.15; text-wrap: balance; }
h2 { margin: 2rem 0 .5rem; font-size: 1rem; }
p { margin: 0 0 1rem; color: var(--muted); }
dl { margin: 0; border-top: 1px solid var(--line); }
dl div { display: grid; grid-template-columns: minmax(7rem, 1fr) 3fr; gap: 1rem; padding: .5rem 0; border-bottom: 1px solid var(--line); }
dt { color: var(--muted); }
dd { margin: 0; }
section { margin: 1.5rem 0; padding: 1rem 1.25rem; border-left: 4px solid var(--good); background: light-dark(#fff, #201d16); }
section.bad { border-color: var(--bad); }
section h2 { margin: 0 0 .5rem; color: var(--good); }
section.bad h2 { color: var(--bad); }
pre { margin: 0; font: .875rem/1.5 ui-monospace, Menlo, Consolas, "Liberation Mono", monospace; white-space: pre-wrap; }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; margin: 2rem 0 0; }
.button {
  display: inline-block; min-height: 2.75rem; padding: .5rem 1.25rem; border: 1px solid var(--muted); border-radius: 999px;
  font: inherit; line-height: 1.625rem; color: var(--ink); background: none; text-decoration: none; cursor: pointer;
}
.button.primary { border-color: var(--accent); color: var(--on-accent); background: var(--accent); }
.button.quiet { border-color: transparent; color: var(--muted); text-decoration: underline; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
`
