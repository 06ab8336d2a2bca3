package AI::MXNet::Gluon::ModelZoo::Vision::SqueezeNet;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::ModelZoo::Vision::Classifier;
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::ModelZoo::Vision::Classifier';

# Iandola and others: SqueezeNet: AlexNet-level accuracy with 50x fewer parameters, 2016.

has version => (is => 'ro', isa => 'Str', required => 1);

# Channels and kernel of the first layer; then fires by their squeeze and width, and pools.
my %plan = (
    '1.0' => [
        [96, 7], 'pool', [16, 64], [16, 64], [32, 128], 'pool',
        [32, 128], [48, 192], [48, 192], [64, 256], 'pool', [64, 256],
    ],
    '1.1' => [
        [64, 3], 'pool', [16, 64], [16, 64], 'pool', [32, 128],
        [32, 128], 'pool', [48, 192], [48, 192], [64, 256], [64, 256],
    ],
);

sub _conv
{
    my ($channels, $kernel, @padding) = @_;
    my $conv = nn->HybridSequential(prefix => '');
    $conv->add(nn->Conv2D($channels, $kernel, @padding), nn->Activation('relu'));
    return $conv;
}

sub _fire
{
    my ($squeeze, $width) = @_;
    my $fire = nn->HybridSequential(prefix => '');
    $fire->add(_conv($squeeze, 1));
    my $paths = nn->HybridConcurrent(axis => 1, prefix => '');
    $paths->add(_conv($width, 1), _conv($width, 3, padding => 1));
    $fire->add($paths);
    return $fire;
}

sub make_features
{
    my ($self, $features) = @_;
    my ($first, @parts) = @{ $plan{ $self->version } };
    $features->add(nn->Conv2D(@$first, strides => 2), nn->Activation('relu'));
    $features->add(ref $_ ? _fire(@$_) : nn->MaxPool2D(3, 2, ceil_mode => 1)) for @parts;
    $features->add(nn->Dropout(0.5));
    return;
}

sub make_output
{
    my $self = shift;
    my $output = nn->HybridSequential(prefix => '');
    $output->add(nn->Conv2D($self->classes, 1), nn->Activation('relu'), nn->AvgPool2D(13), nn->Flatten);
    return $output;
}

no AI::MXNet::Gluon::Mouse;

1;
