package cli

import (
	"cmp"
	"os"
)

// actor says for the image server's log whose events these are: the one who had a
// CI run started, with the run, or else the user of this machine.
func actor(env *Env) string {
	if name := env.Getenv("GITHUB_ACTOR"); name != "" {
		if run := env.Getenv("GITHUB_RUN_ID"); run != "" {
			name += " (run " + run + ")"
		}
		return name
	}
	name := cmp.Or(env.Getenv("USER"), env.Getenv("LOGNAME"), "icepak")
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
