package checks

import "testing"

func TestSuggest(t *testing.T) {
	known := []string{"exists", "mode", "linked-to", "owner", "gid", "uid"}
	for name, want := range map[string]string{
		"exsts": "exists", "exist": "exists", "Mode": "mode", "linkedto": "linked-to", "linked_to": "linked-to",
		"ownre": "owner", "gidd": "gid", "colour": "", "": "", "x": "",
	} {
		if got := Suggest(name, known); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", name, got, want)
		}
	}
}
