// Package web is the pages in which admins manage API keys with a browser.
//
// Begin with [Handler]. The pages do what they do through the admin API, in this process and in the
// name of whoever is signed in: what a page can do, a program can do, and who may do what is
// decided and recorded in one place. They are Go templates, which work without scripts; htmx makes
// them quicker to use. Scripts and styles come from this server alone, and nothing of them is
// inline (Content-Security-Policy).
//
// What the API calls a client, the pages call an API key, as its users do.
package web
