// Imported before anything else: what the rest is loaded on.

const oldestMajor = 24 // the first whose type stripping and built-ins Postern relies on

if (Number(process.versions.node.split('.')[0]) < oldestMajor) {
  process.stderr.write(
    `Postern needs Node.js ${oldestMajor} or newer; this is ${process.version}. In a checkout, npm start brings its own.\n`,
  )
  process.exit(1)
}

// The engine warns, at import and on every command, about releases that are not named as long-term ones yet.
process.release.lts ??= 'Postern'

// Node calls its ML-DSA experimental, once a process, amid the lines of the log. Who sets ALLOW_ML_DSA has read that.
process.emitWarning = new Proxy(process.emitWarning, {
  apply(emit, self, given) {
    if (!/^The ML-DSA-65 Web Crypto API algorithm is/.test(String(given[0]))) Reflect.apply(emit, self, given)
  },
})

// A diagnostic report, which an operator may have Node write, else has the environment in it, and so every secret there.
// That of a fatal error heeds only the option.
if (!process.report.excludeEnv) {
  process.report.excludeEnv = true
  if (process.report.reportOnFatalError) {
    process.report.reportOnFatalError = false
    process.stderr.write(
      'A report of a fatal error would have secrets in it, and is not written without --report-exclude-env.\n',
    )
  }
}
