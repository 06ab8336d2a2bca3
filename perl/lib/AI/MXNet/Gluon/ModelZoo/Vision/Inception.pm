package AI::MXNet::Gluon::ModelZoo::Vision::Inception;
use 5.014;
use strict;
use warnings;

# Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the inception architecture for computer vision, 2015.

package AI::MXNet::Gluon::ModelZoo::Vision::Inception::V3;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::ModelZoo::Vision::Classifier;
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::ModelZoo::Vision::Classifier';

# A convolution is [channels, kernel, strides, padding].
sub _conv
{
    my ($channels, $kernel, $strides, $padding) = @_;
    my $conv = nn->HybridSequential(prefix => '');
    $conv->add(
        nn->Conv2D($channels, $kernel, $strides // 1, $padding // 0, use_bias => 0),
        nn->BatchNorm(epsilon => 0.001),
        nn->Activation('relu')
    );
    return $conv;
}

# Perhaps a pool, then convolutions.
sub _branch
{
    my ($pool, @convs) = @_;
    my $branch = nn->HybridSequential(prefix => '');
    $branch->add(nn->AvgPool2D(3, 1, 1)) if $pool eq 'avg';
    $branch->add(nn->MaxPool2D(3, 2)) if $pool eq 'max';
    $branch->add(_conv(@$_)) for @convs;
    return $branch;
}

# Branches side by side; each is a list for _branch, or a sub that makes one.
sub _side_by_side
{
    my ($prefix, @branches) = @_;
    my $all = nn->HybridConcurrent(axis => 1, prefix => $prefix);
    $all->name_scope(sub { $all->add(ref $_ eq 'CODE' ? $_->() : _branch(@$_)) for @branches });
    return $all;
}

sub _A
{
    my ($prefix, $pooled) = @_;
    return _side_by_side(
        $prefix,
        ['', [64, 1]],
        ['', [48, 1], [64, 5, undef, 2]],
        ['', [64, 1], [96, 3, undef, 1], [96, 3, undef, 1]],
        ['avg', [$pooled, 1]]
    );
}

sub _B
{
    my $prefix = shift;
    return _side_by_side($prefix, ['', [384, 3, 2]], ['', [64, 1], [96, 3, undef, 1], [96, 3, 2]], ['max']);
}

# Convolutions of one row and of one column.
my @row = ([1, 7], undef, [0, 3]);
my @column = ([7, 1], undef, [3, 0]);

sub _C
{
    my ($prefix, $c) = @_;
    return _side_by_side(
        $prefix,
        ['', [192, 1]],
        ['', [$c, 1], [$c, @row], [192, @column]],
        ['', [$c, 1], [$c, @column], [$c, @row], [$c, @column], [192, @row]],
        ['avg', [192, 1]]
    );
}

sub _D
{
    my $prefix = shift;
    return _side_by_side(
        $prefix,
        ['', [192, 1], [320, 3, 2]],
        ['', [192, 1], [192, @row], [192, @column], [192, 3, 2]], ['max']
    );
}

# Convolutions, then a row and a column of what they gave.
sub _split
{
    my @convs = @_;
    my $branch = nn->HybridSequential(prefix => '');
    $branch->add(_branch('', @convs));
    $branch->add(_side_by_side('', ['', [384, [1, 3], undef, [0, 1]]], ['', [384, [3, 1], undef, [1, 0]]]));
    return $branch;
}

sub _E
{
    my $prefix = shift;
    return _side_by_side(
        $prefix,
        ['', [320, 1]],
        sub { _split([384, 1]) },
        sub { _split([448, 1], [384, 3, undef, 1]) },
        ['avg', [192, 1]]
    );
}

sub make_features
{
    my ($self, $features) = @_;
    $features->add(_conv(32, 3, 2), _conv(32, 3), _conv(64, 3, undef, 1), nn->MaxPool2D(3, 2));
    $features->add(_conv(80, 1), _conv(192, 3), nn->MaxPool2D(3, 2));
    $features->add(_A('A1_', 32), _A('A2_', 64), _A('A3_', 64), _B('B_'));
    $features->add(_C('C1_', 128), _C('C2_', 160), _C('C3_', 160), _C('C4_', 192), _D('D_'));
    $features->add(_E('E1_'), _E('E2_'), nn->AvgPool2D(8), nn->Dropout(0.5));
    return;
}

1;
