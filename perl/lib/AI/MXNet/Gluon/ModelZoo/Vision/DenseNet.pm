package AI::MXNet::Gluon::ModelZoo::Vision::DenseNet;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::ModelZoo::Vision::Classifier;
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::ModelZoo::Vision::Classifier';

# Huang, Liu, van der Maaten, Weinberger: Densely connected convolutional networks, 2016.

has [qw(num_init_features growth_rate)] => (is => 'ro', isa => 'Int', required => 1);
has block_config => (is => 'ro', isa => 'ArrayRef[Int]', required => 1);
has bn_size => (is => 'ro', isa => 'Int', default => 4);
has dropout => (is => 'ro', isa => 'Dropout', default => 0);

sub _normalised
{
    my ($to, $channels, $kernel, @padding) = @_;
    $to->add(nn->BatchNorm, nn->Activation('relu'), nn->Conv2D($channels, $kernel, @padding, use_bias => 0));
    return;
}

# The input beside what is made of it.
sub _layer
{
    my $self = shift;
    my $new = nn->HybridSequential(prefix => '');
    _normalised($new, $self->bn_size * $self->growth_rate, 1);
    _normalised($new, $self->growth_rate, 3, padding => 1);
    $new->add(nn->Dropout($self->dropout)) if $self->dropout;
    my $both = nn->HybridConcurrent(axis => 1, prefix => '');
    $both->add(nn->Identity, $new);
    return $both;
}

sub make_features
{
    my ($self, $features) = @_;
    my $channels = $self->num_init_features;
    $features->add(
        nn->Conv2D($channels, 7, 2, 3, use_bias => 0),
        nn->BatchNorm,
        nn->Activation('relu'),
        nn->MaxPool2D(3, 2, 1)
    );
    my $blocks = $self->block_config;
    for my $i (0 .. $#$blocks) {
        my $stage = nn->HybridSequential(prefix => 'stage' . ($i + 1) . '_');
        $stage->name_scope(sub { $stage->add($self->_layer) for 1 .. $blocks->[$i] });
        $features->add($stage);
        $channels += $blocks->[$i] * $self->growth_rate;
        next if $i == $#$blocks;
        $channels = int($channels / 2);
        my $transition = nn->HybridSequential(prefix => '');
        _normalised($transition, $channels, 1);
        $transition->add(nn->AvgPool2D(2, 2));
        $features->add($transition);
    }
    $features->add(nn->BatchNorm, nn->Activation('relu'), nn->AvgPool2D(7), nn->Flatten);
    return;
}

no AI::MXNet::Gluon::Mouse;

1;
