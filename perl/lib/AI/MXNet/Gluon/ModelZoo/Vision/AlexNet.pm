package AI::MXNet::Gluon::ModelZoo::Vision::AlexNet;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::ModelZoo::Vision::Classifier';

# Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks, 2012.

sub make_features
{
    my ($self, $features) = @_;
    my $conv = sub {
        my ($channels, $kernel, $padding, %arg) = @_;
        $features->add(nn->Conv2D($channels, $kernel, padding => $padding, activation => 'relu', %arg));
    };
    $conv->(64, 11, 2, strides => 4);
    $features->add(nn->MaxPool2D(3, 2));
    $conv->(192, 5, 2);
    $features->add(nn->MaxPool2D(3, 2));
    $conv->($_, 3, 1) for 384, 256, 256;
    $features->add(nn->MaxPool2D(3, 2), nn->Flatten);
    $features->add(nn->Dense(4096, activation => 'relu'), nn->Dropout(0.5)) for 1, 2;
    return;
}

no AI::MXNet::Gluon::Mouse;

1;
