package verify

// UsableKeys is how many keys of a JWK set would verify a token.
func UsableKeys(jwks []byte) int {
	keys, _ := parseKeys(jwks)
	return len(keys)
}
