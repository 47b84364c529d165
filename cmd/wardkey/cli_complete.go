package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// completionTime is how long a shell waits for the server.
const completionTime = 2 * time.Second

// completeArg lets shells complete the first argument of a command by asking the server. A server
// that cannot be asked is nothing to tell there.
func completeArg[T any](c *cli, cmd *cobra.Command, k *kind[T]) *cobra.Command {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return k.words(cmd.Context(), c, typed), cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// completeIDs does the same for a flag.
func completeIDs[T any](c *cli, cmd *cobra.Command, flag string, k *kind[T]) {
	err := cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return k.words(cmd.Context(), c, typed), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // there is no such flag
	}
}

// words are the names and ids that begin with what was typed, each with the other as its
// description. Random ids come only once one was begun.
func (k *kind[T]) words(ctx context.Context, c *cli, typed string) []string {
	api, err := c.admin()
	if err != nil {
		return nil
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	found, err := k.candidates(ctx, api, typed, maxPage)
	if err != nil {
		return nil
	}
	var words []string
	for _, thing := range found {
		id, name := k.id(thing), clean(k.name(thing))
		if k.byName && strings.HasPrefix(name, typed) {
			words = append(words, name+"\t"+id)
		}
		if strings.HasPrefix(id, typed) && (typed != "" || !k.byName) {
			words = append(words, id+"\t"+name)
		}
	}
	return words
}
