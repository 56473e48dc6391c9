package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

// TestIncus runs icepak on the real Incus that .ci/setup has beside LXD, by remotes of
// the incus client's. Every script has a project of its own there.
func TestIncus(t *testing.T) {
	images := map[string]string{
		"DEBIAN":    lxdtest.Debian(t),
		"TINY":      lxdtest.Tiny(t),
		"NOINIT":    lxdtest.Tiny(t, lxdtest.NoInit),
		"NOEXEC":    lxdtest.Tiny(t, lxdtest.NoExec),
		"INITEXITS": lxdtest.Tiny(t, lxdtest.InitExits),
		"WRONGARCH": lxdtest.Tiny(t, lxdtest.WrongArch),
	}
	alone(t, "testdata/incus/*.txtar", testscript.Params{
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			for name, dir := range images {
				env.Setenv(name, dir)
			}
			if err := setUpOn("incus:local", t, env); err != nil {
				return err
			}
			return setUpIncus(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"derive":  derive,
			"exits":   exits,
			"kill9":   kill,
			"listen":  listen,
			"person":  person,
			"polar":   servePolar,
			"setenv":  setFromFile,
			"token":   token,
			"trusted": trusted,
		},
	})
}

// setUpIncus gives a script a remote ring1 of the incus client's, and one that the lxc
// client has by the same name for another server.
func setUpIncus(env *testscript.Env) error {
	config, err := lxd.LoadConfig(os.Getenv)
	if err != nil {
		return err
	}
	local, err := config.Remote("incus:local")
	if err != nil {
		return err
	}
	project := env.Getenv("PROJECT")
	for dir, remotes := range map[string]string{
		"lxc": "default-remote: gone\nremotes:\n  gone: {addr: \"https://127.0.0.1:9\"}\n  twice: {addr: \"https://127.0.0.1:9\"}\n",
		"incus": fmt.Sprintf("default-remote: ring1\nremotes:\n  ring1: {addr: \"unix://\", protocol: incus, project: %s}\n  twice: {addr: %q, protocol: incus, project: %[1]s}\n",
			project, local.Addr),
	} {
		dir = filepath.Join(env.WorkDir, dir)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "config.yml"), []byte(remotes), 0o600); err != nil {
			return err
		}
	}
	env.Vars = append(env.Vars,
		"INCUS_CONF="+filepath.Join(env.WorkDir, "incus"), "SOCKET="+strings.TrimPrefix(local.Addr, "unix://"),
		"INCUS_DIR="+os.Getenv("INCUS_DIR"), "INCUS_SOCKET="+os.Getenv("INCUS_SOCKET"),
	)
	return nil
}
