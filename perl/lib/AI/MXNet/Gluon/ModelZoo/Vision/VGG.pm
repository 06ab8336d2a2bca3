package AI::MXNet::Gluon::ModelZoo::Vision::VGG;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::ModelZoo::Vision::Classifier;
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::ModelZoo::Vision::Classifier';

# Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition, 2014.

has layers => (is => 'ro', isa => 'ArrayRef[Int]', required => 1);
has filters => (is => 'ro', isa => 'ArrayRef[Int]', default => sub { [64, 128, 256, 512, 512] });
has batch_norm => (is => 'ro', isa => 'Bool', default => 0);

my @normal = (weight_initializer => 'normal', bias_initializer => 'zeros');

sub make_features
{
    my ($self, $features) = @_;
    for my $stage (0 .. $#{ $self->layers }) {
        for (1 .. $self->layers->[$stage]) {
            my $init = AI::MXNet::Initializer->Xavier(rnd_type => 'gaussian', factor_type => 'out', magnitude => 2);
            $features->add(
                nn->Conv2D(
                    $self->filters->[$stage], 3,
                    padding => 1,
                    weight_initializer => $init,
                    bias_initializer => 'zeros'
                )
            );
            $features->add(nn->BatchNorm) if $self->batch_norm;
            $features->add(nn->Activation('relu'));
        }
        $features->add(nn->MaxPool2D(strides => 2));
    }
    $features->add(nn->Dense(4096, activation => 'relu', @normal), nn->Dropout(0.5)) for 1, 2;
    return;
}

sub make_output { return nn->Dense($_[0]->classes, @normal) }

no AI::MXNet::Gluon::Mouse;

1;
