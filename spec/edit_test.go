package spec

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
)

func passwd() checks.Description {
	return checks.Description{Type: "file", ID: "/etc/passwd", There: true, Attributes: []checks.Attribute{
		{Name: "exists", Value: true}, {Name: "mode", Value: "0644"}, {Name: "owner", Value: "root"},
	}}
}

func sshd() checks.Description {
	return checks.Description{Type: "service", ID: "sshd", There: true, Attributes: []checks.Attribute{
		{Name: "enabled", Value: true}, {Name: "running", Value: false},
	}}
}

func webUser() checks.Description {
	return checks.Description{Type: "user", ID: "0644", There: true, Attributes: []checks.Attribute{
		{Name: "exists", Value: true}, {Name: "uid", Value: float64(1_000_000)},
		{Name: "groups", Value: []any{"web", "1.10", "yes"}}, {Name: "home", Value: "/srv/{{x}}: #y"},
	}}
}

func gpu() checks.Description {
	return checks.Description{Type: "nvidia-smi", There: true, Attributes: []checks.Attribute{{Name: "driver-version", Value: "550.1"}}}
}

// edited returns the text with the descriptions added.
func edited(name, text, check string, list ...checks.Description) (string, error) {
	e, err := NewEdit(name, []byte(text), check, testOptions)
	if err != nil {
		return "", err
	}
	for _, d := range list {
		if err := e.Put(d); err != nil {
			return "", err
		}
	}
	out, err := e.Bytes()
	return string(out), err
}

func TestResourcesAreAddedAndAllElseStays(t *testing.T) {
	tests := []struct {
		name, file, text, check string
		add                     []checks.Description
		want                    string
	}{
		{name: "a new file", add: []checks.Description{passwd(), webUser(), sshd()}, want: `file:
  /etc/passwd:
    exists: true
    mode: "0644"
    owner: root
user:
  "0644":
    exists: true
    uid: 1000000
    groups:
      - web
      - "1.10"
      - "yes"
    home: '/srv/` + "{{`{{`}}" + `x}}: #y'
service:
  sshd:
    enabled: true
    running: false
`},
		{name: "a new file with a check", check: "users", add: []checks.Description{sshd()}, want: `checks:
  users:
    service:
      sshd:
        enabled: true
        running: false
`},
		{name: "only comments", text: "# About\n# this\n\n", add: []checks.Description{gpu()}, want: `# About
# this

nvidia-smi:
  driver-version: "550.1"
`},
		{name: "a new JSON file", file: "x.json", add: []checks.Description{passwd(), sshd()}, want: `{
  "file": {
    "/etc/passwd": {
      "exists": true,
      "mode": "0644",
      "owner": "root"
    }
  },
  "service": {
    "sshd": {
      "enabled": true,
      "running": false
    }
  }
}
`},
		{name: "at the end of a section", add: []checks.Description{passwd()}, text: `# users
file:

    /etc/group: # why
        exists:   true
        # not more
        contents: |
            # root

    # the last one
# and now services
service:
    cron: {running: true}
`, want: `# users
file:

    /etc/group: # why
        exists:   true
        # not more
        contents: |
            # root

    # the last one
    /etc/passwd:
        exists: true
        mode: "0644"
        owner: root
# and now services
service:
    cron: {running: true}
`},
		{name: "a new section", add: []checks.Description{sshd()}, text: "file:\n  /a: {exists: true} # x", want: `file:
  /a: {exists: true} # x
service:
  sshd:
    enabled: true
    running: false
`},
		{name: "sections with blank lines between", add: []checks.Description{sshd()}, text: "file:\n  /a: {exists: true}\n\nuser:\n  root: {exists: true}\n\n\n", want: `file:
  /a: {exists: true}

user:
  root: {exists: true}

service:
  sshd:
    enabled: true
    running: false


`},
		{name: "an empty section", add: []checks.Description{sshd()}, text: "service: # soon\nuser: {root: {exists: true}}\n", want: `service: # soon
  sshd:
    enabled: true
    running: false
user: {root: {exists: true}}
`},
		{name: "a section in brackets", add: []checks.Description{sshd(), passwd()}, text: "service: {cron: {running: true}} # {\nfile: {}\nuser: {root: {exists: true}}\n",
			want: `service: {cron: {running: true}, sshd: {enabled: true, running: false}} # {
file: {/etc/passwd: {exists: true, mode: "0644", owner: root}}
user: {root: {exists: true}}
`},
		{name: "brackets in texts", add: []checks.Description{sshd()}, text: `service: {"a}": {running: true}, 'b''}': {running: true}, it's: {running: true}}`,
			want: `service: {"a}": {running: true}, 'b''}': {running: true}, it's: {running: true}, sshd: {enabled: true, running: false}}`},
		{name: "brackets on many lines", add: []checks.Description{sshd()}, text: "service: {\n    cron: {running: true}, # {first\n    ntp: {running: true} # last\n}\n",
			want: "service: {\n    cron: {running: true}, # {first\n    ntp: {running: true}, # last\n    sshd: {enabled: true, running: false}\n}\n"},
		{name: "JSON", file: "x.json", add: []checks.Description{passwd()}, text: "{\n\t\"file\": {\"\\/é\\ud83d\\ude00\": {\"exists\": true}}, \"user\": {\"root\": {\"exists\": true}}\n}\n",
			want: "{\n\t\"file\": {\"\\/é\\ud83d\\ude00\": {\"exists\": true}, \"/etc/passwd\": {\"exists\": true, \"mode\": \"0644\", \"owner\": \"root\"}}, \"user\": {\"root\": {\"exists\": true}}\n}\n"},
		{name: "the only check", add: []checks.Description{sshd(), gpu()}, text: `image: {os: debian}
checks:
  base:
    title: base
    service:
      cron: {running: true}
    # that is all
`, want: `image: {os: debian}
checks:
  base:
    title: base
    service:
      cron: {running: true}
      sshd:
        enabled: true
        running: false
    # that is all
    nvidia-smi:
      driver-version: "550.1"
`},
		{name: "a named check", check: "b", add: []checks.Description{sshd()}, text: `checks:
  a: {user: {root: {exists: true}}}
  b:
    needs: [a]
    user: {root: {exists: true}}

  c:
    user: {root: {exists: true}}
vars: {x: 1}
`, want: `checks:
  a: {user: {root: {exists: true}}}
  b:
    needs: [a]
    user: {root: {exists: true}}
    service:
      sshd:
        enabled: true
        running: false

  c:
    user: {root: {exists: true}}
vars: {x: 1}
`},
		{name: "a check in brackets", check: "a", add: []checks.Description{sshd()}, text: "checks: {a: {user: {root: {exists: true}}}}\n",
			want: "checks: {a: {user: {root: {exists: true}}, service: {sshd: {enabled: true, running: false}}}}\n"},
		{name: "one more check", check: "ssh", add: []checks.Description{sshd()}, text: "checks:\n  a: {user: {root: {exists: true}}}\n", want: `checks:
  a: {user: {root: {exists: true}}}
  ssh:
    service:
      sshd:
        enabled: true
        running: false
`},
		{name: "templates", add: []checks.Description{webUser()}, text: `vars: {host: a}
# {{/* nothing */}}
command:
  'echo {{.Vars.host}}': {exit-status: 0}
`, want: `vars: {host: a}
# {{/* nothing */}}
command:
  'echo {{.Vars.host}}': {exit-status: 0}
user:
  "0644":
    exists: true
    uid: 1000000
    groups:
      - web
      - "1.10"
      - "yes"
    home: '/srv/` + "{{`{{`}}" + `x}}: #y'
`},
		{name: "lines as on Windows", add: []checks.Description{sshd()}, text: "\uFEFFuser: {root: {exists: true}}\r\n",
			want: "\uFEFFuser: {root: {exists: true}}\r\nservice:\r\n  sshd:\r\n    enabled: true\r\n    running: false\r\n"},
		{name: "a resource anew", add: []checks.Description{passwd()}, text: `file:
  /etc/group: {exists: true}
  # who there is
  /etc/passwd:
    # it must be there
    exists: false # really
    title: users
    mode: '0644'

    size: {gt: 5}
    group: root
    contents: [root]
  /etc/hosts: {exists: true}
`, want: `file:
  /etc/group: {exists: true}
  # who there is
  /etc/passwd:
    # it must be there
    exists: true # really
    title: users
    mode: '0644'
    size: {gt: 5}
    contents: [root]
    owner: root
  /etc/hosts: {exists: true}
`},
		{name: "a resource in brackets anew", add: []checks.Description{sshd()}, text: "service: {sshd: {running: true, within: 5s}, cron: {running: true}}",
			want: "service: {sshd: {running: false, within: 5s, enabled: true}, cron: {running: true}}"},
		{name: "a resource in JSON anew", file: "x.json", add: []checks.Description{sshd()}, text: `{"service": {"sshd": {"title": "\/\ud83d\ude00", "running": true}}}`,
			want: `{"service": {"sshd": {"title": "/😀", "running": false, "enabled": true}}}`},
		{name: "a single resource anew", check: "a", add: []checks.Description{gpu()}, text: "checks:\n  a:\n    nvidia-smi:\n      gpus: {have-len: 1}\n      driver-version: \"1\"\n    timeout: 5s\n",
			want: "checks:\n  a:\n    nvidia-smi:\n      driver-version: \"550.1\"\n    timeout: 5s\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := "x.yaml"
			if tt.file != "" {
				file = tt.file
			}
			got, err := edited(file, tt.text, tt.check, tt.add...)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

func TestWhatCannotBeEditedIsRefused(t *testing.T) {
	tests := []struct{ name, text, check, want string }{
		{"templates that are no YAML", "user:\n{{range mkSlice \"root\"}}  {{.}}: {exists: true}\n{{end}}", "", "it is YAML only after its templates are carried out"},
		{"mistakes", "users: {root: {exists: true}}\n", "", "x.yaml:1:1: unknown resource type \"users\" (did you mean \"user\"?)"},
		{"a section that is an alias", "checks:\n  a: {service: &s {cron: {running: true}}}\n  b: {service: *s}\n", "b", "service is not written out as a mapping there"},
		{"what an anchor shares", "checks:\n  a: {service: &s {cron: {running: true}}}\n  b: {service: *s}\n", "a", "its other resources would be read in another way"},
		{"comments between brackets", "service: {sshd: {running: true, # y\n}}\n", "", "there are comments between the brackets"},
		{"lines that only YAML knows", "user: {root: {exists: true}} #\u2028file: {/a: {exists: true}}\n", "", "its lines end in several ways"},
		{"several checks", "checks: {a: {user: {root: {exists: true}}}, b: {user: {root: {exists: true}}}}", "", "x.yaml has several checks: name one of a, b"},
		{"a goss file's check", "user: {root: {exists: true}}", "a", "x.yaml has no checks section: it is one check, x"},
		{"a name that is none", "checks: {a: {user: {root: {exists: true}}}}", "A b", `a check's name is of a-z, 0-9 and -, and begins with a letter or digit, got "A b"`},
		{"a name that is none, in a new file", "", "A b", `a check's name is of a-z, 0-9 and -, and begins with a letter or digit, got "A b"`},
		{"templates around it", "{{if false}}\nuser: {root: {exists: true}}\n{{end}}\nfile: {/a: {exists: true}}\n#{{if false}}\n", "", "x.yaml:6:1: template: unexpected EOF"},
		{"an end that is left out", "user: {root: {exists: true}}\n#{{if false}}\nservice:\n  cron: {running: true}\n#{{end}}\n", "", "service sshd would not be read as it is written"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := edited("x.yaml", tt.text, tt.check, sshd())
			if err == nil || err.Error() != tt.want {
				t.Errorf("want %q, got %v and\n%s", tt.want, err, got)
			}
		})
	}
}

func TestWhatOtherFilesHaveIsNotAddedAgain(t *testing.T) {
	const name = "testdata/edit/main.yaml"
	e, err := NewEdit(name, []byte("gossfile: {other.yaml: {}}\n"), "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	item, ok := e.Item("service", "sshd")
	if want := "testdata/edit/other.yaml:1:11"; !ok || item.Source != want {
		t.Errorf("want %s, got %v", want, item)
	}
	var no *NotEditableError
	if err := e.Put(sshd()); !errors.As(err, &no) || no.Reason != "service sshd stands at testdata/edit/other.yaml:1:11: name that file" {
		t.Errorf("got %v", err)
	}
	if _, err := NewEdit(name, []byte("include: checks.yaml\nchecks: {}\n"), "ssh", Options{}); err == nil || !strings.HasSuffix(err.Error(), "checks.yaml:1:10: name that file") {
		t.Errorf("got %v", err)
	}
}

// FuzzEdit holds that an edit gives a text that says what it said and what was
// added, or is refused.
func FuzzEdit(f *testing.F) {
	addFiles(f)
	f.Add([]byte("service: {\n a: {running: true}, # }\n}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		before, err := Parse("x.yaml", data, testOptions)
		if err != nil {
			return
		}
		check := before.Checks[len(before.Checks)-1].Name
		e, err := NewEdit("x.yaml", data, check, testOptions)
		if err != nil {
			return
		}
		if err := e.Put(sshd()); err != nil {
			return
		}
		out, err := e.Bytes()
		if err != nil {
			return
		}
		after, err := Parse("x.yaml", out, testOptions)
		if err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		if item, ok := itemOf(after, [3]string{check, "service", "sshd"}); !ok || !says(item, sshd()) {
			t.Fatalf("it is not there:\n%s", out)
		}
		if was, is := resources(before), resources(after); is < was || is > was+1 {
			t.Fatalf("%d resources were there, and %d are:\n%s", was, is, out)
		}
	})
}

func resources(s *Spec) int {
	n := 0
	for _, c := range s.Checks {
		n += len(c.Items)
	}
	return n
}

func ExampleEdit() {
	e, err := NewEdit("goss.yaml", []byte("# our users\nuser:\n  root: {exists: true}\n"), "", Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := e.Put(checks.Description{Type: "user", ID: "web", Attributes: []checks.Attribute{{Name: "exists", Value: true}}}); err != nil {
		fmt.Println(err)
		return
	}
	text, err := e.Bytes()
	fmt.Print(string(text), err)
	// Output:
	// # our users
	// user:
	//   root: {exists: true}
	//   web:
	//     exists: true
	// <nil>
}
