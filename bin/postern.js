#!/usr/bin/env node
// What is published is compiled, because Node.js strips no types below node_modules; a checkout runs its source.
import { existsSync } from 'node:fs'

const source = new URL('../src/cli.ts', import.meta.url)
const compiled = new URL('../dist/src/cli.js', import.meta.url)
await import((existsSync(source) ? source : compiled).href)
