package rscheck

import "strings"

// A subject is what a failure is about, which is what has to be changed.
type subject string

const (
	setup      subject = "setup"
	algorithm  subject = "algorithm"
	signature  subject = "signature"
	audience   subject = "audience"
	issuer     subject = "issuer"
	lifetime   subject = "lifetime"
	dates      subject = "dates"
	typ        subject = "typ"
	scope      subject = "scope"
	binding    subject = "binding"
	keysInside subject = "keys in the header"
	keyName    subject = "kid"
	form       subject = "form"
	texts      subject = "texts"
	members    subject = "members"
	carrying   subject = "how tokens are carried"
	door       subject = "the door"
	rotation   subject = "rotation"
	flood      subject = "flood"
	revocation subject = "revocation"
	challenges subject = "challenge"
	statuses   subject = "status"
	crash      subject = "crash"
)

// topics are what attacks are about, by how their names begin; the first that fits counts.
var topics = []struct {
	prefix string
	about  subject
}{
	{"good-", algorithm},
	{"good", setup},
	{"scheme-case", carrying},
	{"scope-twice", members},
	{"scope-", scope},
	{"section-", scope},
	{"typ-", typ},
	{"id-token", typ},
	{"no-", door},
	{"empty-bearer", door},
	{"other-scheme", carrying},
	{"two-segments", form},
	{"two-", carrying},
	{"token-", carrying},
	{"exp-text", dates},
	{"exp-overflow", dates},
	{"exp-far", dates},
	{"exp", lifetime},
	{"not-yet", lifetime},
	{"audience-", audience},
	{"issuer-", issuer},
	{"bound-", binding},
	{"stranger", signature},
	{"signature-der", texts},
	{"signature-unused", texts},
	{"signature-", signature},
	{"payload-", signature},
	{"alg-twice", form},
	{"alg-", algorithm},
	{"hs256-", algorithm},
	{"kid-flood", flood},
	{"kid-", keyName},
	{"key-rotated", rotation},
	{"key-withdrawn", rotation},
	{"key-", keysInside},
	{"revoked", revocation},
	{"padding", texts},
	{"json", texts},
	{"trailing-data", members},
	{"", form},
}

func topic(name string) subject {
	for _, t := range topics {
		if strings.HasPrefix(name, t.prefix) {
			return t.about
		}
	}
	return form
}

// risks are what it means if something fails that the attack was not made for.
var risks = map[subject]string{
	keysInside: "a stranger has the service ask any address that it can reach",
	challenges: "clients cannot tell what to do: get a new token, or ask for more rights",
	statuses:   "clients cannot tell what to do: get a new token, or ask for more rights",
	crash:      "a stranger's token is an error of the service, which wakes people up and may stop it",
}
