package main

import "os"

// rounds is how often a test repeats what chance decides: so many times with WARDKEY_TEST_LONG=1,
// else two in five of them, so that make test stays short.
func rounds(long int) int {
	if os.Getenv("WARDKEY_TEST_LONG") == "1" {
		return long
	}
	return long * 2 / 5
}
