package checks

import (
	"slices"
	"strings"
	"testing"
)

func rulesOf(manager string) versionRules {
	for _, family := range packageFamilies() {
		if family.rules.manager == manager {
			return family.rules
		}
	}
	panic("no rules of " + manager)
}

// The vectors are those by which each package manager tests itself; of xbps's there
// are seven, and the rest follows from its manual.
func TestVersionsAreOrderedAsTheManagerDoes(t *testing.T) {
	for _, manager := range []string{"dpkg", "rpm", "apk", "pacman", "portage", "xbps"} {
		t.Run(manager, func(t *testing.T) {
			rules := rulesOf(manager)
			count := 0
			for line := range strings.Lines(string(readTestdata(t, "versions/"+manager+".txt"))) {
				f := strings.Fields(line)
				a, b, want := f[0], f[2], strings.Index("<=>", f[1])-1
				if got := rules.compare(a, b); got != want {
					t.Errorf("%s %s %s: order %d", a, f[1], b, got)
				}
				if got := rules.compare(b, a); got != -want {
					t.Errorf("%s against %s: order %d", b, a, got)
				}
				count++
			}
			if count < 30 && manager != "xbps" || count < 9 {
				t.Errorf("only %d vectors", count)
			}
		})
	}
}

func TestReleaseCountsOnlyWhereBothHaveOne(t *testing.T) {
	for _, manager := range []string{"rpm", "pacman"} {
		rules := rulesOf(manager)
		if rules.compare("1.24-2.el9", "1.24") != 0 || rules.compare("1.24-2", "1.24-3") >= 0 {
			t.Errorf("%s does not leave the release out where a constraint has none", manager)
		}
	}
	if dpkg := rulesOf("dpkg"); dpkg.compare("1.24-2", "1.24") <= 0 {
		t.Error("dpkg's missing revision is not 0")
	}
}

func TestTextThatIsNoVersion(t *testing.T) {
	tests := map[string]struct{ good, bad string }{
		"dpkg": {
			"0 0:0 0:0-0 0:0.0-0.0 5:1 0:0-0-0 0:0:0-0 0:0-0:0-0 0:09azAZ.-+~:-0 0:0-azAZ09.+~ 2147483647:1 abc",
			"0: -1:0-1 999999999999999999999999:0-1 2147483648:1 :1 a:0-0 A:0-0 -0 0:-0 0:0- 0:0-0:0 0:!a-0 0:0-0_ 0:0-0/ α",
		},
		"apk": {
			"1.2 0.1_pre2 0.1_pre2~1234abcd 0.1_p1_pre2 0.1_alpha1_pre2 0.1_git20240101_pre1 1.36.1-r15 1.2.4_git20230717-r4",
			"0.1bc 0.1bc1 0.1a1 0.1a.1 0.1_pre2~ 0.1_pre2~1234xbcd 0.1_pre2~1234abcd_pre1 0.1_pre2-r1~1234xbcd " +
				"0.1_foobar 0.1_foobar1 0.1-pre1.1 0.1-r 0.1-r2_pre1 0.1-r2_p3_pre1 0.1-r2-r3 0.1-r2.1 " +
				".1 a _pre1 -r1 0.1_ 0.1_-r0 0.1__alpha 0.1_1_alpha",
		},
		"portage": {
			"0 1.2.3b_pre4_p5-r6 999999999999999999999999999999 1b 1_p 1.0_alpha_beta2 9999",
			"a 1. .1 1.0bb 1.0B 1.0_foo 1.0-r 1.0-1 1.0-r1-r2 1_p1b 1:1",
		},
	}
	for manager, tt := range tests {
		t.Run(manager, func(t *testing.T) {
			valid := rulesOf(manager).valid
			for _, s := range strings.Fields(tt.good) {
				if !valid(s) {
					t.Errorf("%s is refused", s)
				}
			}
			for _, s := range append(strings.Fields(tt.bad), "") {
				if valid(s) {
					t.Errorf("%q is taken for a version", s)
				}
			}
		})
	}
}

func TestVersionConstraints(t *testing.T) {
	tests := []struct {
		manager, constraints string
		versions             []string
		ok                   bool
		message              string
	}{
		{"dpkg", ">= 1.24-2", []string{"1.24-2"}, true, ""},
		{"dpkg", ">=1.24-2", []string{"1.24-10"}, true, ""},
		{"dpkg", ">= 1.24-2", []string{"1.24-1"}, false, `"1.24-1" does not satisfy >= 1.24-2`},
		{"dpkg", ">= 1.24, < 2", []string{"1:1.24"}, false, `"1:1.24" does not satisfy >= 1.24, < 2`},
		{"dpkg", ">> 1 << 2", []string{"1.5"}, true, ""},
		{"dpkg", ">1,<2", []string{"1"}, false, `"1" does not satisfy >1,<2`},
		{"dpkg", "= 1.0", []string{"1.0-0"}, true, ""},
		{"dpkg", "== 1.0 != 1.1", []string{"1.0"}, true, ""},
		{"dpkg", "!= 1.0", []string{"1.0"}, false, `"1.0" does not satisfy != 1.0`},
		{"dpkg", "<= 2.36-9+deb12u14", []string{"2.36-9+deb12u4"}, true, ""},
		{"dpkg", ">= 6", []string{"6.1-1", "5.10-1"}, false, `"5.10-1" does not satisfy >= 6`},
		{"dpkg", ">= 6", nil, false, "there is no version"},
		{"dpkg", ">= 1_2", []string{"1.2"}, false, `"1_2" is no version of a package of dpkg`},
		{"rpm", "= 5.14.0", []string{"5.14.0-362.el9"}, true, ""},
		{"rpm", ">= 1:1", []string{"9"}, false, `"9" does not satisfy >= 1:1`},
		{"rpm", "< 1.0", []string{"1.0~rc1-1.fc39"}, true, ""},
		{"apk", ">= 1.36.1-r5", []string{"1.36.1-r15"}, true, ""},
		{"apk", ">= 1.24-2", []string{"1.25-r0"}, false, `"1.24-2" is no version of a package of apk`},
		{"portage", ">= 1.26", []string{"1.26.3-r1"}, true, ""},
		{"portage", "< 2.0", []string{"2.0_rc1"}, true, ""},
		{"portage", ">= 1.24-2", []string{"1.25"}, false, `"1.24-2" is no version of a package of portage`},
		{"xbps", ">= 1.26, < 1.27", []string{"1.26.3_1"}, true, ""},
		{"xbps", "> 1.26.3_1", []string{"1.26.3_1"}, false, `"1.26.3_1" does not satisfy > 1.26.3_1`},
		{"pacman", ">= 6.6", []string{"6.6.9.arch1-1"}, true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.manager+" "+tt.constraints, func(t *testing.T) {
			m := expects(t, Versions, map[string]any{"satisfies": tt.constraints}).orderedBy(rulesOf(tt.manager))
			if got := m.Match(tt.versions); got.OK != tt.ok || got.Message != tt.message {
				t.Errorf("%v: %v %q, want %v %q", tt.versions, got.OK, got.Message, tt.ok, tt.message)
			}
		})
	}
}

func TestVersionsWithoutAManagerSatisfyNothing(t *testing.T) {
	for _, expr := range []map[string]any{
		{"satisfies": "> 0"},
		{"not": map[string]any{"satisfies": "> 0"}},
	} {
		if expects(t, Versions, expr).Match([]string{"1"}).OK {
			t.Errorf("%v holds", expr)
		}
	}
}

func TestOneOfSeveralVersionsMaySatisfy(t *testing.T) {
	m := expects(t, Versions, map[string]any{"contain-element": map[string]any{"satisfies": ">= 6"}}).orderedBy(rulesOf("rpm"))
	if !m.Match([]string{"5.14.0-1", "6.1.0-1"}).OK {
		t.Error("the second version does not count")
	}
}

func FuzzVersionConstraints(f *testing.F) {
	for _, s := range []string{">= 1.24-2, < 2", ">1", "=", "", ",", "1.0", ">= 1 2", "!=1!=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, err := parseVersionConstraints(s)
		if (err == nil) != (len(list) > 0) {
			t.Errorf("%q: %v, %v", s, list, err)
		}
	})
}

func FuzzDpkgVersions(f *testing.F)    { fuzzVersions(f, "dpkg") }
func FuzzRPMVersions(f *testing.F)     { fuzzVersions(f, "rpm") }
func FuzzAPKVersions(f *testing.F)     { fuzzVersions(f, "apk") }
func FuzzPacmanVersions(f *testing.F)  { fuzzVersions(f, "pacman") }
func FuzzPortageVersions(f *testing.F) { fuzzVersions(f, "portage") }
func FuzzXBPSVersions(f *testing.F)    { fuzzVersions(f, "xbps") }

// fuzzVersions looks for versions of which each is newer than the other.
func fuzzVersions(f *testing.F, manager string) {
	rules := rulesOf(manager)
	for line := range strings.Lines(string(readTestdata(f, "versions/"+manager+".txt"))) {
		fields := strings.Fields(line)
		f.Add(fields[0], fields[2])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		order := rules.compare(a, b)
		if !slices.Contains([]int{-1, 0, 1}, order) || rules.compare(b, a) != -order {
			t.Errorf("%q against %q: %d, and the other way round %d", a, b, order, rules.compare(b, a))
		}
		if rules.compare(a, a) != 0 {
			t.Errorf("%q is not equal to itself", a)
		}
		if rules.valid != nil {
			rules.valid(a)
		}
	})
}
