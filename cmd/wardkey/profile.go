package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// A profile is a server and who administers it, as wardkey login saved them.
type profile struct {
	URL          string `json:"url"`
	AdminURL     string `json:"admin_url,omitempty"` // where --admin-listen has the admin API
	ClientID     string `json:"client_id"`
	ClientSecret hidden `json:"client_secret"`
	PlainHTTP    bool   `json:"plain_http,omitempty"`
}

// profiles are all of them, by name.
type profiles map[string]profile

// profilesPath is where they are.
func profilesPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find where profiles are: %w", err)
	}
	return filepath.Join(dir, "wardkey", "profiles.json"), nil
}

// readProfiles reads all that were saved; there may be none. Others must not be able to read them.
func readProfiles() (profiles, error) {
	path, err := profilesPath()
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return profiles{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read profiles: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others can read the secrets in %s; run chmod 600 on it, and revoke them if somebody may have", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read profiles: %w", err)
	}
	all := profiles{}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read profiles: %s is not what wardkey login writes; remove it and log in again", path)
	}
	return all, nil
}

// save writes all, for their owner only.
func (p profiles) save() (path string, err error) {
	if path, err = profilesPath(); err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = writePrivate(path, append(text, '\n'))
	}
	if err != nil {
		return "", fmt.Errorf("save profiles: %w", err)
	}
	return path, nil
}

func (p profiles) names() string {
	return strings.Join(slices.Sorted(maps.Keys(p)), ", ")
}

// profileName is the one that was asked for.
func (c *cli) profileName() string {
	for _, name := range []string{c.profile, c.getenv("WARDKEY_PROFILE")} {
		if name != "" {
			return name
		}
	}
	return "default"
}

// plain says whether http:// was allowed in words.
func (c *cli) plain() bool {
	inEnvironment, _ := strconv.ParseBool(c.getenv("WARDKEY_PLAIN_HTTP"))
	return c.plainHTTP || inEnvironment
}

// saved is the profile that was asked for.
func (c *cli) saved() (*profile, error) {
	all, err := readProfiles()
	if err != nil {
		return nil, err
	}
	name := c.profileName()
	p, ok := all[name]
	switch {
	case ok:
		p.PlainHTTP = p.PlainHTTP || c.plain()
		return &p, nil
	case len(all) == 0:
		return nil, usagef("which server? Run wardkey login, or set WARDKEY_URL, WARDKEY_CLIENT_ID and WARDKEY_CLIENT_SECRET")
	}
	return nil, usagef("there is no profile %q; there are: %s", name, all.names())
}

// fromEnvironment is what the environment says, which may be a part.
func (c *cli) fromEnvironment() profile {
	return profile{
		URL: c.getenv("WARDKEY_URL"), AdminURL: c.getenv("WARDKEY_ADMIN_URL"), PlainHTTP: c.plain(),
		ClientID: c.getenv("WARDKEY_CLIENT_ID"), ClientSecret: hidden(c.getenv("WARDKEY_CLIENT_SECRET")),
	}
}

// target is the server to administer, and who does: a profile named by flag, else what is in the
// environment, else a profile. They are never mixed: a saved secret goes only where it was saved for.
func (c *cli) target() (*profile, error) {
	env := c.fromEnvironment()
	if c.profile != "" || env.URL == "" && env.ClientID == "" && env.ClientSecret == "" {
		return c.saved()
	}
	if env.ClientID == "" && env.ClientSecret == "" {
		if p, err := c.saved(); err == nil && p.URL == strings.TrimRight(env.URL, "/") {
			return p, nil
		}
	}
	var missing []string
	for _, v := range []struct{ name, value string }{
		{"WARDKEY_URL", env.URL}, {"WARDKEY_CLIENT_ID", env.ClientID}, {"WARDKEY_CLIENT_SECRET", string(env.ClientSecret)},
	} {
		if v.value == "" {
			missing = append(missing, v.name)
		}
	}
	if len(missing) > 0 {
		return nil, usagef("set %s too; or unset the other WARDKEY_ variables and run wardkey login", strings.Join(missing, " and "))
	}
	return &env, nil
}
