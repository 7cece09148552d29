// Reads a JSON array from standard input and writes a JSON array with the canonical text (RFC 8785) of each element.
import canonicalize from "canonicalize";

let text = "";
for await (const chunk of process.stdin.setEncoding("utf8")) text += chunk;
process.stdout.write(JSON.stringify(JSON.parse(text).map((value) => canonicalize(value))));
