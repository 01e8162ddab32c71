// Imported before all other modules, to prepare the runtime for them.

const oldestMajor = 24 // the first with the type stripping and built-ins that Postern relies on

if (Number(process.versions.node.split('.')[0]) < oldestMajor) {
  process.stderr.write(
    `Postern needs Node.js ${oldestMajor} or newer; this is ${process.version}. In a checkout, npm start brings its own.\n`,
  )
  process.exit(1)
}

// On import, and so in every command, the engine warns about releases that are not yet named as long-term ones.
process.release.lts ??= 'Postern'

// Once in each process, among the lines of the log, Node warns that ML-DSA is experimental. The docs of ALLOW_ML_DSA
// say so.
process.emitWarning = new Proxy(process.emitWarning, {
  apply(emit, self, given) {
    if (!/^The ML-DSA-65 Web Crypto API algorithm is/.test(String(given[0]))) Reflect.apply(emit, self, given)
  },
})

// An administrator may make Node write diagnostic reports. They would contain the environment, and so every secret in
// it. The report of a fatal error obeys only the command-line option.
if (!process.report.excludeEnv) {
  process.report.excludeEnv = true
  if (process.report.reportOnFatalError) {
    process.report.reportOnFatalError = false
    process.stderr.write(
      'A report of a fatal error would contain secrets, and is not written without --report-exclude-env.\n',
    )
  }
}
