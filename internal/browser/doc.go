// Package browser tests the admin pages as a person uses them: in Chromium, against the program as
// it is shipped, on both engines. It also takes the pictures of the documentation (make screenshots).
package browser
