/**
 * Returns the commands of a shell script, each as its words, for the syntax that documents use: quotes, comments,
 * pipes, lists, assignments before a command, and substitutions, whose commands are included.
 */
export function commandsIn(script: string): string[][] {
  const commands: string[][] = []
  let words: string[] = []
  let word: string | undefined
  const endWord = () => {
    if (word !== undefined) words.push(word)
    word = undefined
  }
  const endCommand = () => {
    endWord()
    if (words.length > 0) commands.push(words)
    words = []
  }
  for (let at = 0; at < script.length; at++) {
    const character = script[at] ?? ''
    const rest = script.slice(at)
    const [quoted, single, double] = /^(?:'([^']*)'|"((?:[^"\\]|\\[\s\S])*)")/.exec(rest) ?? []
    if (quoted !== undefined) {
      word = (word ?? '') + (single ?? double ?? '')
      at += quoted.length - 1
    } else if (rest.startsWith('\\\n')) at += 1
    else if (character === '#' && word === undefined) at += (/^.*/.exec(rest)?.[0].length ?? 1) - 1
    else if (rest.startsWith('$(')) {
      endCommand() // a substitution is a command of its own; the words around it do not matter here
      at += 1
    } else if (/[\n|;&()]/.test(character)) endCommand()
    else if (/[<>]/.test(character)) endWord()
    else if (/\s/.test(character)) endWord()
    else word = (word ?? '') + character
  }
  endCommand()
  return commands.map((list) => list.slice(list.findIndex((item) => !/^\w+=/.test(item))))
}
