# What follows from partly known shapes: at least what MXNet says, where that is right, and never what need not be so.
use strict;
use warnings;
use FindBin;
use JSON::PP;
use List::Util qw(all);
use Test::More;
use AI::MXNet qw(mx);

my $json = JSON::PP->new;

sub shape { my $text = shift; $text eq '?' ? [] : [split /x/, $text] }
sub text { my $dims = shift; @{ $dims || [] } ? join('x', @$dims) : '?' }

# Whether one shape knows all that the other does.
sub covers
{
    my ($knows, $less) = @_;
    !@$less || (@$knows == @$less && all { $less->[$_] == 0 || $knows->[$_] == $less->[$_] } 0 .. $#$less);
}

# A graph of one call; an output of which something is known is added to a variable of that shape.
sub graph
{
    my ($op, $attrs, $ins, $given) = @_;
    my @nodes = map { +{ op => 'null', name => "i$_", inputs => [] } } 0 .. $ins - 1;
    push @nodes, { op => $op, name => 'op', attrs => $attrs, inputs => [map { [$_, 0, 0] } 0 .. $ins - 1] };
    my @heads;
    for my $i (0 .. $#$given - $ins) {
        push(@heads, [$ins, $i, 0]), next unless @{ $given->[$ins + $i] };
        push @nodes, { op => 'null', name => "o$i", inputs => [] },
            { op => 'elemwise_add', name => "sum$i", inputs => [[$ins, $i, 0], [scalar(@nodes), 0, 0]] };
        push @heads, [$#nodes, 0, 0];
    }
    my @args = grep { $nodes[$_]{op} eq 'null' } 0 .. $#nodes;
    return mx->sym->load_json(
        $json->encode(
            { nodes => \@nodes, arg_nodes => \@args, heads => \@heads, attrs => { mxnet_version => [int => 10901] } }
        )
    );
}

# What is inferred, of the inputs and then of the outputs.
sub inferred
{
    my ($op, $attrs, $ins, $given) = @_;
    my $graph = graph($op, $attrs, $ins, $given);
    my @names = map { $_ < $ins ? "i$_" : 'o' . ($_ - $ins) } 0 .. $#$given;
    my %known = map { $names[$_] => $given->[$_] } grep { @{ $given->[$_] } } 0 .. $#$given;
    my ($args, $outs, $aux) = $graph->infer_shape_partial(%known);
    my %of;
    @of{ @{ $graph->list_arguments }, @{ $graph->list_auxiliary_states } } = (@$args, @$aux);
    return [@of{ @names[0 .. $ins - 1] }, @$outs];
}

open my $file, '<', "$FindBin::Bin/data/partial-shapes.txt" or die "partial-shapes.txt: $!";
while (<$file>) {
    next if /^#/;
    chomp;
    my ($op, $attrs, $ins, @columns) = split /\t/;
    my ($given, $want, $fits) = map {
        [map { shape($_) } split / /]
    } @columns;
    my $got = eval { inferred($op, $attrs eq '-' ? {} : $json->decode($attrs), $ins, $given) };
    my $title = "$op $attrs of $columns[0]";
    ok($got, $title) or diag($@), next;
    ok((all { covers($got->[$_], $want->[$_]) } 0 .. $#$want), "$title tells as much as is known")
        or diag("got @{[map { text($_) } @$got]}, want $columns[1]");
    ok((all { covers($fits->[$_], $got->[$_]) } 0 .. $#$fits), "$title tells nothing that need not be")
        or diag("got @{[map { text($_) } @$got]}, which $columns[2] contradicts");
}

done_testing;
