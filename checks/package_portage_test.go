package checks

import (
	"testing"
	"testing/fstest"
)

func TestPortagesFoldersAreNamesAndVersions(t *testing.T) {
	root := fstest.MapFS{}
	for _, folder := range []string{
		"app-editors/vim-9.1.1652-r1", "media-fonts/font-misc-misc-1.1.3", "x11-libs/gtk+-3.24.49", "dev-lang/python-3.13.7_p1",
		"dev-lang/python-3.12.11_p1", "media-fonts/font-adobe-100dpi-1.0.4", "app-misc/-MERGING-tmux-3.5a", "sys-apps/portage-3.0.68",
	} {
		root["var/db/pkg/"+folder+"/PF"] = &fstest.MapFile{}
	}
	root["var/db/pkg/.cache"] = &fstest.MapFile{}
	found, err := readPortage(root, "var/db/pkg")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"vim": "9.1.1652-r1", "app-editors/vim": "9.1.1652-r1", "font-misc-misc": "1.1.3", "x11-libs/gtk+": "3.24.49",
		"media-fonts/font-adobe-100dpi": "1.0.4", "portage": "3.0.68",
	} {
		if got := found.versions[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %s", name, got, want)
		}
	}
	if got := found.versions["dev-lang/python"]; len(got) != 2 {
		t.Errorf("python in two slots: %q", got)
	}
	if found.versions["tmux"] != nil || found.absence("tmux") != "is not installed: its state is merging" {
		t.Errorf("a package that is being merged: %q, %s", found.versions["tmux"], found.absence("tmux"))
	}
}

func FuzzPortageFolders(f *testing.F) {
	for _, s := range []string{"vim-9.1-r1", "font-100dpi-1.0", "a-1-2", "-", "1", "a--1", "a-1..2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, folder string) {
		if name, version, ok := splitPortage(folder); ok && (name+"-"+version != folder || !validPortage(version)) {
			t.Errorf("%q is split into %q and %q", folder, name, version)
		}
	})
}
