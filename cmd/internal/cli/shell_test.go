package cli

import "testing"

func TestRootShellIsOneThatLetsRootIn(t *testing.T) {
	for passwd, want := range map[string]string{
		"root:x:0:0:root:/root:/bin/zsh\n":                    "/bin/zsh",
		"daemon:x:1:1::/:/bin/sh\nroot:x:0:0::/root:/bin/ash": "/bin/ash",
		"root:x:0:0:root:/root:/usr/sbin/nologin\n":           "",
		"root:x:0:0:root:/root:/bin/false\n":                  "",
		"root:x:0:0:root:/root\n":                             "",
		"rooted:x:1:1::/:/bin/sh\n":                           "",
		"":                                                    "",
	} {
		if got := rootShell(passwd); got != want {
			t.Errorf("%q: got %q, want %q", passwd, got, want)
		}
	}
}
