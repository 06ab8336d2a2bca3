use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(sum softmax));

# Every example of AI::MXNet::Operators gives what stands below it: dtype, shape and values.
my $pod = do { open my $in, '<:encoding(UTF-8)', 'lib/AI/MXNet/Operators.pod' or die $!; local $/ = undef; <$in> };
my ($head, %entries) = split /^=head2 (\w+)\n/m, $pod;
my $examples = 0;

sub as_documented
{
    my ($y, $line) = @_;
    my ($dtype, $shape, $values) = $line =~ /^    # (\w+) ([\dx]+): (.*)/ or return "a line that says nothing: $line";
    my $about = $y->dtype . ' ' . join 'x', @{ $y->shape };
    return "$about instead of $dtype $shape" if $about ne "$dtype $shape";
    return '' if $values eq 'random';
    my @got = $y->astype('float64')->aspdl->list;
    my @want = split ' ', $values;
    pop @want if $want[-1] eq '...';

    for my $i (0 .. $#want) {
        my ($g, $w) = (lc $got[$i], $want[$i]);
        next if $g eq $w or abs($g - $w) <= 1e-5 + 1e-3 * abs $w;
        return "$g instead of $w at $i";
    }
    return '';
}

for my $name (sort keys %entries) {
    my ($code, $results) = $entries{$name} =~ /^(    my \$y = .*\n)((?:    # .*\n)+)/m or next;
    $examples++;
    my $y = eval $code . '$y';    ## no critic (ProhibitStringyEval): what users would write
    my $wrong = $@;
    my @outputs = ref $y eq 'ARRAY' ? @$y : $y;
    my @lines = split /\n/, $results;
    $wrong ||= @outputs . ' outputs instead of ' . @lines if @outputs != @lines;
    $wrong ||= as_documented($outputs[$_], $lines[$_]) for 0 .. $#lines;
    is($wrong, '', "$name: its example");
}
cmp_ok($examples, '>', 250, 'most operators have an example');
is_deeply([grep { !/^_ks_/ and !$entries{$_} } AI::MXNet::Keshi::operators()], [], 'every operator is on the page');

done_testing;
