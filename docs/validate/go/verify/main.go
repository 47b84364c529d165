// A resource server that checks Wardkey's tokens with Wardkey's own package verify.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/wardkey/wardkey/verify"
)

func main() {
	verifier, err := verify.New(os.Getenv("ISSUER"), os.Getenv("AUDIENCE"))
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()

	protected := verifier.Require(verify.Section("nordic"), verify.Keyspace("email", "read"))
	http.Handle("GET /sections/nordic/profiles", protected(http.HandlerFunc(profiles)))

	server := http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), ReadHeaderTimeout: 5 * time.Second}
	log.Print(server.ListenAndServe())
}

func profiles(w http.ResponseWriter, r *http.Request) {
	token, _ := verify.FromContext(r.Context())
	fmt.Fprintf(w, "hello, %s\n", token.ClientID)
}
