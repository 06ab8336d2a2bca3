use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet;

needs_operators(qw(FullyConnected adam_update log_softmax));

# The code of docs/tutorial.md runs, as one script, and prints what its comments say.
my $page = '../docs/tutorial.md';
plan skip_all => 'the tutorial is in the checkout only' if not -e $page;

my $text = do { open my $in, '<', $page or die $!; local $/ = undef; <$in> };
my @code = $text =~ /^```perl\n(.*?)^```$/msg;
cmp_ok(scalar(@code), '>', 10, 'there is code');

my $file = "t/tutorial.$$.tmp";
open my $out, '>', $file or die $!;
print {$out} "use strict;\nuse warnings;\n", @code;
close $out or die $!;
my @perl = ($^X, map { "-I$_" } grep { !ref } @INC);
my $printed = qx(@perl $file 2>&1);
is($?, 0, 'it runs') or diag($printed);
unlink $file;

# Spaces and line breaks aside.
my $squeezed = $printed =~ s/\s+//gr;
for my $comment (map { /(?:print|printf)\b.*?;\s+# (.*)$/mg } @code) {
    my $wanted = $comment =~ s/\s+//gr;
    next if $comment =~ /^now / or length $wanted < 5;    # these would be found anywhere
    ok(index($squeezed, $wanted) >= 0, "printed: $comment");
}

done_testing;
