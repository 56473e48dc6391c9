package checks

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// Accounts are all users of the guest's own files together.
type Accounts struct {
	Common
	// EmptyPasswords are the users who need no password to log in.
	EmptyPasswords Matcher `json:"empty-passwords,omitzero" kind:"list"`
	// Superusers are the users with the number 0.
	Superusers Matcher `json:"superusers,omitzero" kind:"list"`
}

// A credential is what logging in goes by.
type credential struct {
	name, password string // the password as it is stored
	uid            int
}

func (*Accounts) needsFilesOnly() {}

// Evaluate looks in /etc/passwd, and in /etc/shadow where there is one.
func (a *Accounts) Evaluate(_ context.Context, sys *System) []Result {
	var r results
	users, err := readLines(sys.FS, "etc/passwd", parseCredential)
	if err != nil {
		r.errRest(lookError(err))
	}
	r.find("empty-passwords", a.EmptyPasswords, func() (any, error) { return emptyPasswords(sys.FS, users) })
	superusers := []string{}
	for _, u := range users {
		if u.uid == 0 {
			superusers = append(superusers, u.name)
		}
	}
	r.match("superusers", a.Superusers, superusers)
	return r.list
}

// emptyPasswords names the users whose stored password is empty: where passwd refers
// to shadow, as busybox takes * as well, the one there. Without a shadow file,
// or a line in it, nobody can log in by what passwd refers to.
func emptyPasswords(root fs.FS, users []credential) ([]string, error) {
	shadows, err := readLines(root, "etc/shadow", parseShadow)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, lookError(err)
	}
	names := []string{}
	for _, u := range users {
		if u.password == "x" || u.password == "*" {
			i := slices.IndexFunc(shadows, func(s credential) bool { return s.name == u.name })
			if i < 0 {
				continue
			}
			u.password = shadows[i].password
		}
		if u.password == "" {
			names = append(names, u.name)
		}
	}
	return names, nil
}

// parseCredential reads a line of /etc/passwd. As the C library does, it takes one that
// ends after its numbers; comments and the lines of NIS, as +::::::, are nobody's.
func parseCredential(line string) (credential, bool) {
	f := strings.Split(line, ":")
	if len(f) < 4 || f[0] == "" || strings.ContainsAny(f[0][:1], "#+-") {
		return credential{}, false
	}
	uid, ok := parseID(f[2])
	return credential{f[0], f[1], uid}, ok
}

// parseShadow reads a line of /etc/shadow.
func parseShadow(line string) (credential, bool) {
	f := strings.Split(line, ":")
	if len(f) < 2 || f[0] == "" || strings.ContainsAny(f[0][:1], "#+-") {
		return credential{}, false
	}
	return credential{name: f[0], password: f[1]}, true
}
