#!/usr/bin/env perl
# Reads digits with parameters that mnist_lenet.pl saved: perl predict.pl [parameters [how many]]
#     perl mnist_lenet.pl 1 lenet.params; perl predict.pl lenet.params
use 5.014;
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);
use Example::MNIST qw(digits lenet pictures);

my ($file, $count) = @ARGV;
$file //= 'lenet.params';
$count //= 4;
die "There is no $file: make it with `perl mnist_lenet.pl 1 $file`.\n" if not -e $file;
binmode STDOUT, ':encoding(UTF-8)';

my $net = lenet();
$net->load_parameters($file);

# Two rows of pixels in one of text.
sub drawn
{
    my $picture = shift->reshape([28, 28])->aspdl;
    my @shade = (' ', '▀', '▄', '█');
    my @lines;
    for my $y (map { 2 * $_ } 2 .. 12) {
        push @lines, join '', map { $shade[($picture->at($_, $y) > 90) + 2 * ($picture->at($_, $y + 1) > 90)] } 2 .. 25;
    }
    return @lines;
}

# A digit beside what it is and how it is read.
sub show
{
    my ($bytes, $is, $read, $percent) = @_;
    my @lines = drawn($bytes);
    $lines[4] .= "   is a $is";
    $lines[5] .= sprintf '   read as %d, %.1f %% sure', $read, $percent;
    print map { "$_\n" } @lines, '-' x 24;
    return;
}

my $batches = digits(train => 0, batch_size => 500);
my ($seen, $right, @wrong) = (0, 0);
while (defined(my $batch = <$batches>)) {
    my ($bytes, $truth) = ($batch->[0], $batch->[1]->aspdl);
    my $sure = $net->(pictures($bytes))->softmax;
    my ($best, $chance) = map { $_->aspdl } $sure->argmax({ axis => 1 }), $sure->max({ axis => 1 });
    for my $i (0 .. $batch->[0]->len - 1) {
        my @digit = ($bytes->at($i), $truth->at($i), $best->at($i), 100 * $chance->at($i));
        show(@digit) if $seen++ < $count;
        if ($digit[1] == $digit[2]) { $right++ }
        elsif (@wrong < $count) { push @wrong, \@digit }
    }
}
printf "%d of %d are read right, %.2f %%.%s\n", $right, $seen, 100 * $right / $seen,
    @wrong ? ' The first that are not:' : '';
show(@$_) for @wrong;
