import { json } from 'node:stream/consumers'

/**
 * Reads jobs (a JSON array) from standard input, does each, and prints the answers as one line of
 * JSON. What a job throws ends the program: only refusals are answers.
 */
export async function party(does) {
  const answers = []
  for (const job of await json(process.stdin)) {
    answers.push(await does[job.do](job))
  }
  console.log(JSON.stringify(answers))
}
