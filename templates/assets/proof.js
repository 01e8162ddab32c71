// Computes the proof of a form while somebody fills it in: SHA-256 of the challenge and a number begins with zero bits.
const form = document.querySelector('[data-challenge]')
const { challenge } = form.dataset
const bits = Number.parseInt(challenge, 10)
const text = new TextEncoder()
const atOnce = 256

async function solve() {
  for (let from = 0; ; from += atOnce) {
    const tries = Array.from({ length: atOnce }, (_, n) => text.encode(`${challenge}.${from + n}`))
    const hashes = await Promise.all(tries.map((bytes) => crypto.subtle.digest('SHA-256', bytes)))
    const found = hashes.findIndex((hash) => new DataView(hash).getUint32(0) >>> (32 - bits) === 0)
    if (found >= 0) return from + found
  }
}

const solved = solve().then((answer) => {
  form.elements.answer.value = answer
})

form.addEventListener('submit', (event) => {
  if (form.elements.answer.value) return
  event.preventDefault()
  event.stopImmediatePropagation()
  event.submitter?.setAttribute('aria-busy', true)
  solved.then(() => form.requestSubmit(event.submitter))
})
