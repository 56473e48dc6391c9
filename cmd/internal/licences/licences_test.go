package licences

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/upmaru/icepak/cmd/internal/cli" // go test has no cached answer for what is linked anew
)

var update = flag.Bool("update", false, "write docs/licences.md anew")

func TestWhatIsLinkedMayBePassedOn(t *testing.T) {
	works, err := Linked(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range works {
		if bad := w.Forbidden(); len(bad) > 0 {
			t.Errorf("%s: %s", w.Path, strings.Join(bad, ", "))
		}
	}
	for _, path := range []string{"std", "github.com/canonical/lxd/client", "modernc.org/sqlite"} {
		if !slices.ContainsFunc(works, func(w Work) bool { return w.Path == path }) {
			t.Errorf("%s is not among what is linked", path)
		}
	}

	var list bytes.Buffer
	if err := WriteList(&list, works); err != nil {
		t.Fatal(err)
	}
	const golden = "../../../docs/licences.md"
	if *update {
		if err := os.WriteFile(golden, list.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if list.String() != string(want) {
		t.Errorf("docs/licences.md is not what is linked; make licences writes it anew:\n%s", list.String())
	}
}

func TestALicenceIsToldByItsText(t *testing.T) {
	for name, c := range map[string]struct {
		text, want string
	}{
		"mit":      {"Permission is hereby granted, free of charge, to any\nperson obtaining a copy of this software and associated", "MIT"},
		"bsd 3":    {"Redistribution and use in source and binary forms, with or without\n * Neither the name of X may be used to endorse or promote products", "BSD-3-Clause"},
		"bsd 2":    {"Redistribution and use in source and binary\nforms, with or without modification", "BSD-2-Clause"},
		"apache":   {"   Apache License\n   Version 2.0, January 2004\n", "Apache-2.0"},
		"mpl":      {"Mozilla Public License Version 2.0\n“Secondary License” means the GNU General Public License, Version 2.0", "MPL-2.0"},
		"agpl":     {"GNU AFFERO GENERAL PUBLIC LICENSE\n   Version 3, 19 November 2007", "AGPL-3.0"},
		"gpl":      {"GNU GENERAL PUBLIC LICENSE\n  Version 2, June 1991", "GPL"},
		"lgpl":     {"GNU LESSER GENERAL PUBLIC LICENSE\n  Version 3", "LGPL"},
		"two":      {"Permission is hereby granted, free of charge, to any person obtaining a copy of this software\n#### Apache License ####\nLicensed under the Apache License, Version 2.0", "Apache-2.0 MIT"},
		"no words": {"All rights reserved.", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(Classify([]byte(c.text)), " "); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestALicenceThatIsNotAllowedIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		kinds []string
		want  string
	}{
		"none":            {nil, "no licence that is known"},
		"allowed":         {[]string{"MIT"}, ""},
		"one of them bad": {[]string{"AGPL-3.0", "MIT"}, "AGPL-3.0"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(Work{Kinds: c.kinds}.Forbidden(), " "); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// A module's folder may have a licence of its own, which is that of all below it.
func TestTheNearestLicenceCounts(t *testing.T) {
	root := t.TempDir()
	client := filepath.Join(root, "client", "deep")
	if err := os.MkdirAll(client, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		"COPYING":        "GNU Affero General Public License Version 3",
		"client/LICENSE": "Apache License Version 2.0, January 2004",
	} {
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for dir, want := range map[string]string{root: "m AGPL-3.0", client: "m/client Apache-2.0"} {
		w, err := linked{dir: dir, module: "m", root: root}.work()
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Path + " " + strings.Join(w.Kinds, " "); got != want {
			t.Errorf("%s: %s, want %s", dir, got, want)
		}
	}
}
