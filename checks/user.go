package checks

import (
	"context"
	"slices"
)

// User is an account of the guest's.
type User struct {
	Common
	Name   string  `json:"username,omitempty"`
	Exists Matcher `json:"exists,omitzero" kind:"bool"`
	UID    Matcher `json:"uid,omitzero" kind:"int"`
	GID    Matcher `json:"gid,omitzero" kind:"int"`
	Home   Matcher `json:"home,omitzero" kind:"string"`
	Groups Matcher `json:"groups,omitzero" kind:"list"`
	Shell  Matcher `json:"shell,omitzero" kind:"string"`
}

// Evaluate looks in the guest's /etc/passwd, and asks getent for who is not there.
func (u *User) Evaluate(ctx context.Context, sys *System) []Result {
	var r results
	name := u.id(u.Name)
	a, found, err := sys.account(ctx, name, func(a account) bool { return a.name == name })
	if err != nil {
		r.noPresence("exists", u.Exists, err)
	} else {
		r.presence("exists", u.Exists, found, "there is no such user")
	}
	r.match("uid", u.UID, a.uid)
	r.match("gid", u.GID, a.gid)
	r.match("home", u.Home, a.home)
	r.find("groups", u.Groups, func() (any, error) { return groupsOf(ctx, sys, a) })
	r.match("shell", u.Shell, a.shell)
	return r.list
}

// groupsOf returns the sorted names of a user's groups, its own among them.
func groupsOf(ctx context.Context, sys *System, a account) ([]string, error) {
	primary, found, err := sys.group(ctx, decimal(a.gid), func(g userGroup) bool { return g.gid == a.gid })
	if err != nil {
		return nil, err
	}
	var names []string
	if found {
		names = append(names, primary.name)
	}
	// Here a file that is not there is no error: sys.group has looked.
	groups, _ := sys.groups(ctx)
	for _, g := range groups {
		if g.has(a) {
			names = append(names, g.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (*User) needsFilesOnly() {}
