// Package recipes holds the tests of docs/validate: each of its examples is started as it stands
// there, and sent genuine tokens and attacks.
//
// Begin with TestRecipes. Every recipe is an entry of its table: the columns of the matrix in
// docs/validate/README.md, which is what the run must come to. With -update the matrix is written,
// and the examples are copied into their pages.
//
// The script install installs the tools where they are missing; make test runs it. A tool that is
// missing fails its test under WARDKEY_TEST_ENGINES=both (make test sets it) and skips it otherwise.
package recipes
