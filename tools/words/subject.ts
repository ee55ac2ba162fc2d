const MAX_SUBJECT_COLUMNS = 72;

/** Words that end like other forms of a verb, and are its base form. */
const BASE_FORMS =
  /^(?:Add|Embed|Feed|Need|Seed|Shed|Speed|Proceed|Exceed|Shred|Wed|Bed|Bring|Ping|Ring|String|Swing|Bypass|Canvas|Bias|Focus|Process|Pass|Press|Address|Access|Assess|Compress|Decompress|Discuss|Dismiss|Express|Guess|Miss|Stress|Suppress|Toss|Cross)$/;

/** Words that begin a sentence with its subject, or with an aside. */
const NO_VERBS =
  /^(?:A|An|All|Also|And|Any|As|At|Both|But|By|Each|Every|For|From|How|If|In|It|Its|More|Most|New|No|Nobody|Not|Nothing|Now|Of|On|One|Only|Other|Some|Such|That|The|Their|There|They|This|To|Two|What|When|Where|Which|Who|Whoever|Why|With|Without|You)$/;

/** Returns why a commit subject breaks the rules of docs/style.md, or undefined. */
export function problemOfSubject(subject: string): string | undefined {
  if (subject.length > MAX_SUBJECT_COLUMNS)
    return `${subject.length} characters; at most ${MAX_SUBJECT_COLUMNS}`;
  const word = /^[A-Z][a-z-]+(?= \S)/.exec(subject)?.[0];
  if (word === undefined) return 'it does not begin with a capitalised verb';
  const isOtherForm = /(?:ed|ing|s)$/.test(word) && !BASE_FORMS.test(word);
  return isOtherForm || NO_VERBS.test(word) ? `"${word}" is not an imperative` : undefined;
}
