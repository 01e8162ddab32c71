// Conveniences. Every page works without them.
const { lang } = document.documentElement
const all = (selector) => document.querySelectorAll(selector)

for (const button of all('[data-reveals]')) {
  const input = document.getElementById(button.dataset.reveals)
  const show = (isShown) => {
    input.type = isShown ? 'text' : 'password'
    button.setAttribute('aria-pressed', isShown)
  }
  button.hidden = false
  button.onclick = () => show(input.type === 'password')
  input.form.addEventListener('submit', () => show(false)) // or the browser remembers what was typed as a text
}

// A form is sent once. An app outside of the browser may take the answer and leave the page, so it can be sent again later.
addEventListener('submit', (event) => {
  const { target: form, submitter } = event
  if (form.dataset.sent) return event.preventDefault()
  form.dataset.sent = true
  submitter?.setAttribute('aria-busy', true)
  setTimeout(release, 8000, form)
})
addEventListener('pageshow', () => all('form').forEach(release))
function release(form) {
  delete form.dataset.sent
  for (const button of form.querySelectorAll('[aria-busy]')) button.removeAttribute('aria-busy')
}

for (const timer of all('[data-seconds]')) {
  const end = Date.now() + timer.dataset.seconds * 1000
  const tick = () => {
    const seconds = Math.ceil((end - Date.now()) / 1000)
    const [unit, count] = seconds < 90 ? ['second', seconds] : ['minute', Math.ceil(seconds / 60)]
    if (seconds < 1) timer.parentElement.textContent = timer.dataset.after
    else {
      timer.textContent = new Intl.NumberFormat(lang, { style: 'unit', unit, unitDisplay: 'long' }).format(count)
      setTimeout(tick, 1000)
    }
  }
  tick()
}

for (const input of all('[data-dash]')) {
  input.addEventListener('input', ({ inputType }) => {
    if (inputType?.startsWith('delete') || input.selectionStart < input.value.length) return
    const typed = input.value.replace(/[^\p{L}\p{N}]/gu, '').toUpperCase()
    const at = Number(input.dataset.dash)
    input.value = typed.length < at ? typed : `${typed.slice(0, at)}-${typed.slice(at)}`
  })
}
