# SPDX-License-Identifier: Apache-2.0
# fish completion for staunch

function __staunch_codes
    staunch explain 2>/dev/null | string replace -rf '^  ([a-z0-9-]+) +(.*)' '$1\t$2'
end

set -l commands converge diff build show apply revert verify status list history events release config doctor explain
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -f
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -a converge -d 'Move every process that runs a replaced image to the new one'
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -a diff -d 'Compare two builds'
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -a build -d 'Make a patch'
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -a show -d 'Show what is in a patch'
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -a apply -d 'Put patches into running processes'
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -a revert -d 'Take patches out of running processes'
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -a verify -d 'Check that every patch is whole'
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -a status -d 'List which processes carry which patches'
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -a list -d 'List what waits for a restart, and patches in quarantine'
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -a history -d 'Print what was done to which process'
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -a events -d 'Print what the agent did and noticed'
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -a release -d 'Let a patch out of quarantine'
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -a config -d 'Check the policy of the agent, or show it'
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -a doctor -d 'Check what this machine needs for patching'
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -a explain -d 'Say what a refusal code means'
complete -c staunch -n "not __fish_seen_subcommand_from $commands" -l version -d 'Print the version'
complete -c staunch -s h -l help -d 'Describe the command'
complete -c staunch -l explain -x -a '(__staunch_codes)' -d 'Say what a code means'
complete -c staunch -n '__fish_seen_subcommand_from explain' -f -a '(__staunch_codes)'
complete -c staunch -n '__fish_seen_subcommand_from converge diff build show apply revert verify status list history events config doctor' -l json -d 'Print JSON'
complete -c staunch -n '__fish_seen_subcommand_from converge apply revert verify status' -l pid -x -a '(__fish_complete_pids)' -d 'This process'
complete -c staunch -n '__fish_seen_subcommand_from apply revert verify' -l all -d 'Every process that is concerned'
complete -c staunch -n '__fish_seen_subcommand_from converge apply revert' -l deadline -x -d 'How long to try, in seconds'
complete -c staunch -n '__fish_seen_subcommand_from converge diff build' -l accept -x -a '(__staunch_codes)' -d 'Do not let this reason count'
complete -c staunch -n '__fish_seen_subcommand_from converge diff build' -l no-debug -d 'Do not look for debug information'
complete -c staunch -n '__fish_seen_subcommand_from diff build' -l debug-old -r -d 'Debug information of the old build'
complete -c staunch -n '__fish_seen_subcommand_from diff build' -l debug-new -r -d 'Debug information of the new build'
complete -c staunch -n '__fish_seen_subcommand_from build' -s o -l output -r -d 'Where the patch goes'
complete -c staunch -n '__fish_seen_subcommand_from converge' -l dry-run -d 'Judge only'
complete -c staunch -n '__fish_seen_subcommand_from converge' -l root -r -d 'Only images below this folder'
complete -c staunch -n '__fish_seen_subcommand_from doctor' -f -l root -r -d 'The machine below this folder'
complete -c staunch -n '__fish_seen_subcommand_from converge verify status' -f
complete -c staunch -n '__fish_seen_subcommand_from list history release' -l state -r -d 'Folder of the state of the agent'
complete -c staunch -n '__fish_seen_subcommand_from history events' -l since -x -d 'Not older'
complete -c staunch -n '__fish_seen_subcommand_from history events' -l unit -x -d 'Only this unit'
complete -c staunch -n '__fish_seen_subcommand_from events' -l id -x -d 'Only this kind: number or name'
complete -c staunch -n '__fish_seen_subcommand_from events' -l file -r -d 'Read this file'
complete -c staunch -n '__fish_seen_subcommand_from events' -l follow -d 'Go on with what happens'
complete -c staunch -n '__fish_seen_subcommand_from config' -a 'check show'
complete -c staunch -n '__fish_seen_subcommand_from list history events release' -f
