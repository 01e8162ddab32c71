// Asks the browser for passkeys. A page offers them only if this script can.
const can = globalThis.PublicKeyCredential
const browsers = navigator.credentials

/** Sends a few fields, and returns the options of the server. Without them, the page is no longer good: load it again. */
async function optionsFrom(box) {
  const form = box.closest('form')
  const body = new URLSearchParams({ csrf: form.csrf.value, uid: form.uid?.value ?? '' })
  const answer = await fetch(box.dataset.options, { method: 'POST', body, redirect: 'manual' })
  if (answer.ok) return answer.json()
  location.reload()
  return new Promise(() => {})
}

/** Sends the answer of an authenticator along with the form that the button is in. */
function send(box, credential) {
  const form = box.closest('form')
  form.response.value = JSON.stringify(credential)
  form.action = box.dataset.action
  form.submit() // without the checks of fields that a passkey does not need
}

async function ask(box, { mediation, signal } = {}) {
  const options = await optionsFrom(box)
  const publicKey =
    box.dataset.passkey === 'create'
      ? can.parseCreationOptionsFromJSON(options)
      : can.parseRequestOptionsFromJSON(options)
  const request = { publicKey, signal, ...(mediation && { mediation }) }
  const credential = await (box.dataset.passkey === 'create' ? browsers.create(request) : browsers.get(request))
  if (credential) send(box, credential)
}

function say(box, which) {
  for (const notice of box.querySelectorAll('[data-when]')) notice.hidden = notice.dataset.when !== which
}

function offer(box) {
  let waiting
  const button = box.querySelector('button')
  box.hidden = false

  button.onclick = async (event) => {
    event.preventDefault()
    waiting?.abort()
    say(box)
    button.setAttribute('aria-busy', true)
    try {
      await ask(box)
    } catch (error) {
      say(box, error.name === 'InvalidStateError' ? 'exists' : 'cancelled')
    }
    button.removeAttribute('aria-busy')
  }

  // The passkeys that the browser lists below the field. A challenge lasts five minutes, so they are asked for again.
  async function list() {
    waiting?.abort()
    waiting = new AbortController()
    const renewed = setTimeout(list, 240_000)
    waiting.signal.onabort = () => clearTimeout(renewed)
    await ask(box, { mediation: 'conditional', signal: waiting.signal }).catch(() => {})
  }
  if (box.dataset.conditional) can.isConditionalMediationAvailable?.().then((isAvailable) => isAvailable && list())
}

if (can?.parseRequestOptionsFromJSON && browsers) {
  for (const box of document.querySelectorAll('[data-passkey]')) offer(box)
  for (const { dataset } of document.querySelectorAll('[data-signal]')) {
    can[dataset.signal]?.(JSON.parse(dataset.value))?.catch(() => {})
  }
} else {
  for (const notice of document.querySelectorAll('[data-without-passkeys]')) notice.hidden = false
}
