package checks

import "context"

// Group is a group of users of the guest's.
type Group struct {
	Common
	Name   string  `json:"groupname,omitempty"`
	Exists Matcher `json:"exists,omitzero" kind:"bool"`
	GID    Matcher `json:"gid,omitzero" kind:"int"`
}

// Evaluate looks in the guest's /etc/group, and asks getent for what is not there.
func (g *Group) Evaluate(ctx context.Context, sys *System) []Result {
	var r results
	name := g.id(g.Name)
	found, ok, err := sys.group(ctx, name, func(g userGroup) bool { return g.name == name })
	if err != nil {
		r.noPresence("exists", g.Exists, err)
	} else {
		r.presence("exists", g.Exists, ok, "there is no such group")
	}
	r.match("gid", g.GID, found.gid)
	return r.list
}

func (*Group) needsFilesOnly() {}
