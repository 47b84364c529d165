import json
import sys


def party(**does):
    """Read jobs (a JSON array) from standard input, do each, and print the answers as one line of
    JSON. What a job raises ends the program: only refusals are answers."""
    print(json.dumps([does[job["do"]](job) for job in json.load(sys.stdin)]))
