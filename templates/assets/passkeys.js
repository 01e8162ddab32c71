// Asks the browser for passkeys. A page offers them only where this script can.
const can = globalThis.PublicKeyCredential
const browsers = navigator.credentials
let turn = Promise.resolve() // one request for a challenge at a time: each replaces the one before

/** Returns the options of the server, with a fresh challenge. */
async function optionsFrom({ dataset, form }) {
  const body = new URLSearchParams({ csrf: form.csrf.value, uid: form.uid?.value ?? '' })
  const answer = await fetch(dataset.options, { method: 'POST', body, redirect: 'manual' })
  if (answer.ok) return answer.json()
  throw new DOMException('This page has ended.', 'InvalidAccessError')
}

/** Asks for a passkey, and sends it along with the form that the button is in. */
async function ask({ dataset, form }, more) {
  turn = turn.catch(() => {}).then(() => optionsFrom({ dataset, form }))
  const isNew = dataset.passkey === 'create'
  const options = await turn
  const publicKey = isNew ? can.parseCreationOptionsFromJSON(options) : can.parseRequestOptionsFromJSON(options)
  const credential = await browsers[isNew ? 'create' : 'get']({ publicKey, ...more })
  form.response.value = JSON.stringify(credential)
  form.action = dataset.action
  form.submit() // without the checks of fields that a passkey does not need
}

function offer(box) {
  const button = box.querySelector('button')
  const asked = { dataset: box.dataset, form: button.form }
  const say = (which) => {
    for (const notice of box.querySelectorAll('[data-when]')) notice.hidden = notice.dataset.when !== which
  }
  let waiting
  let isPressed = false
  box.hidden = false

  button.onclick = async (event) => {
    event.preventDefault()
    if (isPressed) return
    isPressed = true
    waiting?.abort()
    say()
    button.setAttribute('aria-busy', true)
    try {
      await ask(asked)
    } catch ({ name }) {
      if (name === 'InvalidAccessError') location.reload()
      say(name === 'InvalidStateError' ? 'exists' : 'cancelled')
      isPressed = false
      list()
    }
    button.removeAttribute('aria-busy')
  }

  // The passkeys that the browser lists below the field. A challenge lasts five minutes, so they are asked for again.
  async function list() {
    if (!box.dataset.conditional || !(await can.isConditionalMediationAvailable?.()) || isPressed) return
    waiting?.abort()
    waiting = new AbortController()
    const { signal } = waiting
    const renewed = setTimeout(list, 240_000)
    signal.onabort = () => clearTimeout(renewed)
    await ask(asked, { mediation: 'conditional', signal }).catch(() => {})
  }
  list()
}

if (can?.parseRequestOptionsFromJSON && browsers) {
  for (const part of document.querySelectorAll('[data-with-passkeys]')) part.hidden = false
  for (const box of document.querySelectorAll('[data-passkey]')) offer(box)
  for (const { dataset } of document.querySelectorAll('[data-signal]')) {
    can[dataset.signal]?.(JSON.parse(dataset.value))?.catch(() => {})
  }
} else {
  for (const notice of document.querySelectorAll('[data-without-passkeys]')) notice.hidden = false
}
