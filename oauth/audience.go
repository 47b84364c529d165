package oauth

import (
	"net/url"
	"slices"
	"strings"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/refusals"
)

// audience returns what the token is for, and whether that is this server itself
// (RFC 8707 §2: compared as strings, and each must be known).
func (h *Handler) audience(c *clients.Client, asked []string) (audience []string, own bool, err error) {
	if len(asked) == 0 {
		return h.defaultAudience(c)
	}
	own = slices.Contains(asked, h.AdminAudience)
	if own && len(asked) > 1 {
		return nil, false, invalidTarget(strings.Join(asked, " "), "a token for this server's own API is for nothing else; ask for "+h.AdminAudience+" alone")
	}
	for _, resource := range asked {
		if detail := refuseResource(resource); detail != "" {
			return nil, false, invalidTarget(resource, detail)
		}
		if resource == h.AdminAudience {
			continue
		}
		if !slices.Contains(h.Audiences, resource) {
			return nil, false, invalidTarget(resource, "the resource is not known here; it is compared letter by letter")
		}
		if len(c.Audiences) > 0 && !slices.Contains(c.Audiences, resource) {
			return nil, false, invalidTarget(resource, "the resource is not one that this client may ask for")
		}
	}
	return asked, own, nil
}

func (h *Handler) defaultAudience(c *clients.Client) (audience []string, own bool, err error) {
	switch {
	case c.Held.OnlyWardkey():
		return []string{h.AdminAudience}, true, nil
	case len(c.Audiences) > 0:
		return c.Audiences[:1], false, nil
	}
	return h.Audiences[:1], false, nil
}

// refuseResource says what is wrong with a resource that is not an absolute URI without a
// fragment, or "".
func refuseResource(resource string) string {
	u, err := url.Parse(resource)
	switch {
	case err != nil || !u.IsAbs():
		return "a resource is an absolute URI"
	case u.Fragment != "" || resource[len(resource)-1] == '#':
		return "a resource has no fragment"
	}
	return ""
}

func invalidTarget(resource, description string) *Error {
	resource, _, _ = strings.Cut(resource, "?") // it is kept for the admin, and nobody knows what is in there
	return &Error{Code: InvalidTarget, Description: description, Reason: refusals.AudienceUnknown, Detail: resource}
}
