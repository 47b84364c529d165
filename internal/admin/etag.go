package admin

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/wardkey/wardkey/internal/admin/wire"
)

// stable is a resource as it is shown, but for its last use, which changes when somebody gets a
// token and nobody changed anything.
func stable(shown any) any {
	switch resource := shown.(type) {
	case wire.Client:
		resource.LastUsedAt = nil
		secrets := make([]wire.Secret, len(resource.Secrets))
		for i, secret := range resource.Secrets {
			secret.LastUsedAt = nil
			secrets[i] = secret
		}
		resource.Secrets = secrets
		return resource
	case wire.Secret:
		resource.LastUsedAt = nil
		return resource
	case wire.Admin:
		resource.LastSignInAt = nil
		return resource
	}
	return shown
}

// etag is the entity tag (RFC 9110 §8.8.3) of a resource as it is shown, stable so that nobody's
// change is lost by somebody's use.
func etag(shown any) string {
	shown = stable(shown)
	text, err := json.Marshal(shown)
	if err != nil {
		panic(err) // our own types always can be written
	}
	sum := sha256.Sum256(text)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`
}

// ifMatch says whether a change may be made to the resource with this tag (RFC 9110 §13.1.1: weak
// tags match nothing).
func ifMatch(header *string, tag string) error {
	if header == nil || lists(*header, tag) {
		return nil
	}
	return &problem{kind: preconditionFailed, detail: fmt.Sprintf("the resource is not as If-Match says; its entity tag is %s now", tag)}
}

// ifNoneMatch says whether the caller has the resource with this tag already (RFC 9110 §13.1.2:
// weak tags match what they are of).
func ifNoneMatch(header *string, tag string) bool {
	return header != nil && lists(strings.ReplaceAll(*header, "W/", ""), tag)
}

// lists says whether a list of entity tags has this one. Ours hold no comma.
func lists(header, tag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		if candidate = strings.TrimSpace(candidate); candidate == tag || candidate == "*" {
			return true
		}
	}
	return false
}
