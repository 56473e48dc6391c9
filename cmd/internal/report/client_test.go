package report

import "testing"

// What is printed to get at a kept instance is for the client that knows its remote.
func TestClientOf(t *testing.T) {
	for remote, want := range map[string][2]string{
		"rack1":       {"lxc", "rack1"},
		"lxc:rack1":   {"lxc", "rack1"},
		"incus:ring1": {"incus", "ring1"},
		"":            {"lxc", ""},
	} {
		if client, name := ClientOf(remote); client != want[0] || name != want[1] {
			t.Errorf("%q: %s, %q, want %v", remote, client, name, want)
		}
	}
}
