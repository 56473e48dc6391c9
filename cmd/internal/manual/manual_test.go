package manual

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/cli"
)

var update = flag.Bool("update", false, "write the golden files")

var someday = Release{"2.0.0", time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}

func TestEveryVisibleCommandHasAPage(t *testing.T) {
	var want []string
	var visit func(c *cobra.Command, name string)
	visit = func(c *cobra.Command, name string) {
		if c.Hidden || c.Name() == "help" { // which shows what the pages have
			return
		}
		want = append(want, name+".1")
		for _, sub := range c.Commands() {
			visit(sub, name+"-"+sub.Name())
		}
	}
	visit(cli.Commands(), "icepak")
	pages := Pages(cli.Commands(), someday)
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(pages)); !slices.Equal(got, want) {
		t.Errorf("pages %q, want %q", got, want)
	}
	for _, name := range []string{"icepak-test.1", "icepak-polar-version-import.1"} {
		if pages[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
	for name, page := range pages {
		if strings.Contains(name, "probe") || strings.Contains(string(page), "icepak\\-probe") {
			t.Errorf("%s shows a hidden command", name)
		}
	}
}

// What roff does not know it drops in silence, with the rest of the line.
func TestThePagesAreWellFormed(t *testing.T) {
	macros := []string{".TH", ".SH", ".PP", ".TP", ".BR", ".nf", ".fi"}
	for name, page := range Pages(cli.Commands(), someday) {
		var sections []string
		literal := false
		for i, line := range strings.Split(strings.TrimSuffix(string(page), "\n"), "\n") {
			macro, rest, _ := strings.Cut(line, " ")
			switch {
			case line == "", strings.ContainsFunc(line, func(r rune) bool { return r >= 0x80 }):
				t.Errorf("%s:%d: empty, or not in ASCII: %q", name, i+1, line)
			case strings.HasPrefix(line, "'"), strings.HasPrefix(line, ".") && !slices.Contains(macros, macro):
				t.Errorf("%s:%d: no macro of ours: %q", name, i+1, line)
			case macro == ".nf", macro == ".fi":
				if literal == (macro == ".nf") {
					t.Errorf("%s:%d: %s twice", name, i+1, macro)
				}
				literal = macro == ".nf"
			case macro == ".SH":
				sections = append(sections, rest)
				if literal {
					t.Errorf("%s:%d: the section begins in a block", name, i+1)
				}
			}
		}
		if len(sections) < 4 || !slices.Equal(sections[:3], []string{"NAME", "SYNOPSIS", "DESCRIPTION"}) {
			t.Errorf("%s: sections %q", name, sections)
		}
	}
}

func TestTheTextOfAPage(t *testing.T) {
	root := &cobra.Command{Use: "tool", Short: "Do things"}
	cmd := &cobra.Command{
		Use:   "make THING...",
		Short: "Make things",
		Long: `Make each THING, ✓ or not.
.hidden files and C:\paths are 'text'.

Environment:
  A   a table's lines
      stay as they are

	tabs too
Then text again.`,
		Example: "  tool make --no-color it",
		Run:     func(*cobra.Command, []string) {},
	}
	cmd.Flags().StringP("into", "i", "a-folder", "write into this `folder`")
	cmd.Flags().Bool("force", false, "also what is there")
	cmd.Flags().String("secret", "", "not shown")
	if err := cmd.Flags().MarkHidden("secret"); err != nil {
		t.Fatal(err)
	}
	root.AddCommand(cmd, &cobra.Command{Use: "unseen", Hidden: true, Run: cmd.Run})

	for name, page := range Pages(root, someday) {
		golden := "testdata/" + name
		if *update {
			if err := os.WriteFile(golden, page, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(page) != string(want) {
			t.Errorf("%s is\n%s\nwant\n%s", name, page, want)
		}
	}
}
