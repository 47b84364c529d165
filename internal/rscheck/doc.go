// Package rscheck is a doctor for resource servers: it sends one the attacks of package attacks,
// and says what it does about each, how grave that is, and what to change.
//
// Begin with [Check]. Its Run method sends everything, one after the other, to the one address
// that it was given, and returns a [Report] with a grade:
//
//	A  nothing failed
//	B  one to three minor failures
//	C  more of them
//	D  one or two serious failures
//	E  more of them
//	F  a critical failure
//
// What is only worth a note does not count. A service that refuses good tokens is not graded,
// because one that refuses everything withstands everything.
package rscheck
