import { parseArgs } from 'node:util'

/** The options of `npm run bench`. */
export type Options = {
  rounds: number
  /** Limits of one timed slice. The first one reached ends it. */
  seconds: number
  requests: number
  connections: number
  alg: string
  /** Rows to put into each large table of a further Postern; 0 for none. */
  rows: number
  /** Clients to compare with ten, in place of everything else; 0 for none. */
  clients: number
  /** Another checkout of Postern to measure as well. */
  against: string | undefined
  only: string | undefined
  isJson: boolean
}

export const usage = `npm run bench -- [options]

  --rounds 5         measured rounds, after one that warms up
  --seconds 3        longest timed slice
  --requests 4000    most requests in a timed slice
  --connections 32   keep-alive connections
  --alg ES256        signature of ID tokens (RS256 costs the server about a millisecond each)
  --rows 1000000     also measure a Postern with this many rows in each large table
  --clients 10000    only compare client_credentials and memory of this many clients with ten
  --against ../old   also measure the Postern of another checkout
  --only refresh     measure only the operations whose name contains this
  --json             print JSON instead of a table

DATABASE_URL names the PostgreSQL to use, with a role that may create databases. Without it one is started.`

/** @throws Error naming the mistake in the command line. */
export function parseOptions(args: string[]): Options | 'help' {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      requests: { type: 'string', default: '4000' },
      connections: { type: 'string', default: '32' },
      alg: { type: 'string', default: 'ES256' },
      rows: { type: 'string', default: '0' },
      clients: { type: 'string', default: '0' },
      against: { type: 'string' },
      only: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  const number = (name: 'rounds' | 'seconds' | 'requests' | 'connections' | 'rows' | 'clients', least: number) => {
    const value = Number(values[name])
    if (!(value >= least)) throw new Error(`--${name} must be a number of at least ${least}`)
    return value
  }
  return {
    rounds: number('rounds', 1),
    seconds: number('seconds', 0.1),
    requests: number('requests', 1),
    connections: number('connections', 1),
    rows: number('rows', 0),
    clients: number('clients', 0),
    alg: values.alg,
    against: values.against,
    only: values.only,
    isJson: values.json,
  }
}
