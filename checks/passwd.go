package checks

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// An account is a line of /etc/passwd.
type account struct {
	name, home, shell string
	uid, gid          int
}

// A userGroup is a line of /etc/group.
type userGroup struct {
	name    string
	gid     int
	members []string
}

func (g userGroup) has(a account) bool {
	return g.gid == a.gid || slices.Contains(g.members, a.name)
}

// maxSystemFile bounds the files of the guest's that are read whole.
const maxSystemFile = 16 << 20

func readPasswd(root fs.FS) ([]account, error) {
	return readLines(root, "etc/passwd", parseAccount)
}

func readGroups(root fs.FS) ([]userGroup, error) {
	return readLines(root, "etc/group", parseGroup)
}

// readLines reads what parse makes of a file's lines. Lines that it does not
// understand, such as NIS's, are left out, as the C library does.
func readLines[T any](root fs.FS, name string, parse func(string) (T, bool)) ([]T, error) {
	data, err := readBounded(root, name, maxSystemFile)
	if err != nil {
		return nil, err
	}
	var list []T
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxSystemFile)
	for lines.Scan() {
		if v, ok := parse(lines.Text()); ok {
			list = append(list, v)
		}
	}
	return list, lines.Err()
}

func readBounded(root fs.FS, name string, most int64) ([]byte, error) {
	data, err := readStart(root, name, most+1)
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s is bigger than %d MiB", name, most>>20)
	}
	return data, err
}

// readStart reads a file, but no more than its first bytes.
func readStart(root fs.FS, name string, most int64) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

func parseAccount(line string) (account, bool) {
	f := strings.Split(line, ":")
	if len(f) != 7 || f[0] == "" {
		return account{}, false
	}
	uid, uidOK := parseID(f[2])
	gid, gidOK := parseID(f[3])
	return account{name: f[0], uid: uid, gid: gid, home: f[5], shell: f[6]}, uidOK && gidOK
}

func parseGroup(line string) (userGroup, bool) {
	f := strings.Split(line, ":")
	if len(f) != 4 || f[0] == "" {
		return userGroup{}, false
	}
	gid, ok := parseID(f[2])
	return userGroup{f[0], gid, strings.FieldsFunc(f[3], func(r rune) bool { return r == ',' })}, ok
}

// parseID reads a user's or a group's number.
func parseID(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return int(n), err == nil
}

// account finds a user by name or number: in /etc/passwd, or where that does
// not have it, through getent, which also knows LDAP and the like.
func (s *System) account(ctx context.Context, key string, is func(account) bool) (account, bool, error) {
	list, err := fact(ctx, &s.facts, "passwd", func() ([]account, error) { return readPasswd(s.FS) })
	return lookUp(ctx, s, "passwd", key, list, err, parseAccount, is)
}

// group is account for groups.
func (s *System) group(ctx context.Context, key string, is func(userGroup) bool) (userGroup, bool, error) {
	list, err := s.groups(ctx)
	return lookUp(ctx, s, "group", key, list, err, parseGroup, is)
}

func (s *System) groups(ctx context.Context) ([]userGroup, error) {
	return fact(ctx, &s.facts, "group", func() ([]userGroup, error) { return readGroups(s.FS) })
}

func lookUp[T any](ctx context.Context, s *System, database, key string, list []T, err error,
	parse func(string) (T, bool), is func(T) bool) (T, bool, error) {
	var none T
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return none, false, inconclusive{err}
	}
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i], true, nil
	}
	if s.Exec == nil || strings.HasPrefix(key, "-") {
		return none, false, nil
	}
	out, err := s.Exec(ctx, Command{Args: []string{"getent", database, key}})
	switch {
	case ctx.Err() != nil:
		return none, false, inconclusive{context.Cause(ctx)}
	case err != nil && !errors.Is(err, exec.ErrNotFound):
		return none, false, inconclusivef("getent %s %s: %w", database, key, err)
	case err != nil || out.ExitCode != 0:
		return none, false, nil // there is no getent, or it does not know it
	}
	line, _, _ := strings.Cut(string(out.Stdout), "\n")
	found, ok := parse(line)
	return found, ok && is(found), nil
}

// decimal is a number as getent and names have it.
func decimal(n int) string { return strconv.Itoa(n) }
